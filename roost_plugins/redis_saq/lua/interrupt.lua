-- Give work back without blame: a worker stops, or the engine wants to run again later.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer events idle
-- ARGV: id token commit-id data-json delay-ms|-1 worker "engine engine ..."|'-'|'' layout|0
--   layout: what a worker has to know to take it, if that is more than the caller knows
-- Result: as commit, without 'version'

local id, token, commit_id = ARGV[1], ARGV[2], ARGV[3]
local r, answer = held_by(id, token, commit_id)
if answer then return answer end

redis.call('ZREM', K.running, id)
release(id, r)
r.updated = now
local due = '-1'
if ARGV[8] ~= '0' then
  -- At least one layout above this one: otherwise it would count as known here, and come back at
  -- once.
  r.state = 'queued'
  set_aside(math.max(tonumber(ARGV[8]), LAYOUT + 1), 'ready', '0', ready_member(id, r))
elseif ARGV[5] == '-1' then
  make_ready(id, r)
else
  due = due_after(r, ARGV[5])
  r.state = 'sleeping'
  redis.call('ZADD', K.sleeping, due, id)
end
noted('interrupted', id, r, ARGV[4])
return given_back(id, r, token, commit_id, due, ARGV[6], ARGV[7])
