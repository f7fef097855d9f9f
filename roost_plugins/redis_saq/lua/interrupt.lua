-- Give work back without blame: a worker stops, or the engine asked to come back later.
-- KEYS: work ready sleeping retry_wait running blocked held failed events idle
-- ARGV: id token commit-id data-json delay-ms|-1 worker "engine engine ..."|'-'|''
-- Result: as commit, without 'version'

local id, token, commit_id = ARGV[1], ARGV[2], ARGV[3]
local r, answer = held_by(id, token, commit_id, parse)
if answer then return answer end

redis.call('ZREM', K.running, id)
release(id, r)
r.updated = now
local due = '-1'
if ARGV[5] == '-1' then
  make_ready(id, r)
else
  due = due_after(r, ARGV[5])
  r.state = 'sleeping'
  redis.call('ZADD', K.sleeping, due, id)
end
event('interrupted', id, r, ARGV[4])
return given_back(id, r, token, commit_id, due, ARGV[6], ARGV[7])
