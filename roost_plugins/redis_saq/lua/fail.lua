-- Give up an attempt: try again later, or dead-letter the work if it was the last.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer events idle
-- ARGV: id token commit-id error permanent(0|1) delay-ms worker "engine engine ..."|'-'|''
-- Result: as commit, without 'version'

local id, token, commit_id, error = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local r, answer = held_by(id, token, commit_id)
if answer then return answer end

redis.call('ZREM', K.running, id)
release(id, r)
r.attempts = whole(r.attempts + 1)
local due = '-1'
if ARGV[5] == '1' or tonumber(r.attempts) >= tonumber(r.max_attempts) then
  bury(id, r, error)
else
  due = due_after(r, ARGV[6])
  r.state = 'retry_wait'
  r.updated = now
  redis.call('ZADD', K.retry_wait, due, id)
  note_error(id, r, error)
  noted('attempt_failed', id, r, '{"error":' .. error .. '}', in_brief(error))
end
return given_back(id, r, token, commit_id, due, ARGV[7], ARGV[8])
