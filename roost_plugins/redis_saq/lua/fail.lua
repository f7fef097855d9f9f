-- Give up an attempt: try again later, or dead-letter the work if it was the last.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer events idle paused cancelled halted index
-- USES: record trail line release acts holder giveback
-- ARGV: id token commit-id error permanent(0|1) delay-ms worker "engine engine ..."|'-'|''
-- Result: as commit, without 'version'

local id, token, commit_id, error = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local r, answer = held_by(id, token, commit_id)
if answer then return answer end

local wish = r.wish ~= '-' and taken_wish(r)
redis.call('ZREM', K.running, id)
release(id, r)
local due = '-1'
if wish and is_final(wish) then
  obeyed(id, r, wish, '-')
else
  r.attempts = whole(r.attempts + 1)
  if ARGV[5] == '1' or tonumber(r.attempts) >= tonumber(r.max_attempts) then
    dead_letter(id, r, error)
  else
    due = due_after(r, ARGV[6])
    r.state = 'retry_wait'
    r.updated = now
    note_error(id, r, error)
    local counted = '{"attempt":' .. r.attempts .. ',"max_attempts":' .. r.max_attempts
    counted = counted .. ',"delay_ms":' .. whole(math.max(0, due - now)) .. ','
    noted('attempt_failed', id, r, counted .. '"error":' .. error .. '}', counted .. string.sub(in_brief(error), 2))
    if not (wish and obeyed(id, r, wish, due)) then redis.call('ZADD', K.retry_wait, due, id) end
  end
end
return given_back(id, r, token, commit_id, due, ARGV[7], ARGV[8])
