-- Give work back without blame: a worker stops, or the engine asked to come back later.
-- KEYS: record error beat ready sleeping retry_wait running blocked held failed events idle
-- ARGV: id token commit-id data-json delay-ms|-1 worker "engine engine ..."|''
-- Result: as commit, without 'version'

local id, token, commit_id = ARGV[1], ARGV[2], ARGV[3]
local r, refusal = leased(id, token, commit_id)
if refusal then return refusal end

release(id, r)
r.updated = now
local delay, due = tonumber(ARGV[5]), -1
if delay < 0 then
  make_ready(id, r)
else
  due = due_after(r, delay)
  r.state = 'sleeping'
  redis.call('ZADD', K.sleeping, due, id)
end
event('interrupted', id, r, ARGV[4])
return answer_released(id, r, token, commit_id, due, ARGV[6], ARGV[7])
