-- Give up an attempt: try again later, or dead-letter the work if it was the last.
-- KEYS: record error beat ready sleeping retry_wait running blocked held failed events idle
-- ARGV: id token commit-id error permanent(0|1) delay-ms worker "engine engine ..."|''
-- Result: as commit, without 'version'

local id, token, commit_id, error = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local r, refusal = leased(id, token, commit_id)
if refusal then return refusal end

release(id, r)
r.attempts = (r.attempts or 0) + 1
local due = -1
if ARGV[5] == '1' or r.attempts >= r.max_attempts then
  bury(id, r, error)
else
  due = due_after(r, tonumber(ARGV[6]))
  r.state = 'retry_wait'
  r.updated = now
  r.has_error = 1
  redis.call('ZADD', K.retry_wait, due, id)
  redis.call('HSET', K.error, id, error)
  event('attempt_failed', id, r, '{"error":' .. error .. '}')
end
return answer_released(id, r, token, commit_id, due, ARGV[7], ARGV[8])
