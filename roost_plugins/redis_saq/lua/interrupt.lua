-- Give work back without blame: a worker stops, or the engine wants to run again later.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer events idle paused cancelled halted index
-- USES: record trail newer line release acts holder giveback
-- ARGV: id token commit-id data-json delay-ms|-1 worker "engine engine ..."|'-'|'' layout|0
--   layout: what a worker has to know to take it, if that is more than the caller knows
-- Result: as commit, without 'version'

local id, token, commit_id = ARGV[1], ARGV[2], ARGV[3]
local r, answer = held_by(id, token, commit_id)
if answer then return answer end

local wish = r.wish ~= '-' and taken_wish(r)
redis.call('ZREM', K.running, id)
release(id, r)
r.updated = now
local due = '-1'
if wish and is_final(wish) then
  obeyed(id, r, wish, '-')
  return given_back(id, r, token, commit_id, due, ARGV[6], ARGV[7])
end
r.state = 'queued'
if ARGV[8] == '0' and ARGV[5] ~= '-1' then
  due = due_after(r, ARGV[5])
  r.state = 'sleeping'
end
noted('interrupted', id, r, ARGV[4])
if wish and obeyed(id, r, wish, due == '-1' and '-' or due) then
  return given_back(id, r, token, commit_id, due, ARGV[6], ARGV[7])
end
if ARGV[8] ~= '0' then
  -- At least one layout above this one: otherwise it would count as known here, and come back at
  -- once.
  set_aside(math.max(tonumber(ARGV[8]), LAYOUT + 1), 'ready', '0', ready_member(id, r))
elseif due == '-1' then
  make_ready(id, r)
else
  redis.call('ZADD', K.sleeping, due, id)
end
return given_back(id, r, token, commit_id, due, ARGV[6], ARGV[7])
