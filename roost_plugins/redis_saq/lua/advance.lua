-- Accept a step whose lease continues: the most frequent call, so it touches nothing else.
-- KEYS: work running events index
-- USES: record index blame history parts holder
-- ARGV: id token commit-id expected-version snapshot|'' step "took-ms worker" ttl-ms|0 part... (lib/parts.lua)
-- Result: 'ok running version 0 at -1 -1' | 'late' | 'lost' | 'newer' | 'version' | 'corrupt'
--   ttl 0: the lease is not extended, because it was renewed recently
--   'late': the lease cannot continue, because the deadline has passed, the steps in a row are used up, or people
--   want something of the step (lib/acts.lua); nothing was written
--
-- It does the same as `held_by`, commit.lua and `text_of`, but without a table of the record:
-- making one costs a tenth of the call.

local id, given, commit_id = ARGV[1], ARGV[2], ARGV[3]
local raw = redis.call('HGET', K.work, id)
if not raw then return 'lost' end
-- '1', of an older layout.
if string.byte(raw) == 49 then raw = upgraded(raw) or raw end
local F.head, rest_at = string.match(raw, F.head_pattern)
if not rest_at then return newer_layout(raw) and 'newer' or 'corrupt' end
F.head_absent
local rest = string.sub(raw, rest_at)

if token ~= given or given == '-' then
  if token == '!' .. given and last ~= commit_id then return 'late' end
  if token == '!' .. given then return 'ok ' .. running_answer(version, committed) .. ' 0' end
  local answer = remembered(id, answers_in(rest), given, commit_id)
  return answer and 'ok ' .. answer .. ' 0' or 'lost'
end
if last == commit_id then return 'ok ' .. running_answer(version, committed) .. ' 0' end
if wish ~= '-' then return 'late' end
if version ~= ARGV[4] then return 'version' end
row = row + 1
if (deadline ~= '0' and is_past(deadline)) or (max_steps ~= '0' and row - max_steps >= 0) then return 'late' end
local snapshot, change = ARGV[5], ARGV[9] and change_in(9) or ''
-- Only what is, or follows from, a base has changes; and without a change, '~', it would be lost.
if snapshot == '' and (anchor == '0' or string.byte(change) ~= 126) then return 'version' end
if ARGV[9] then check_parts(9) end

if has_error == '1' then forget_error(id) end
if has_error == '1' or has_beat == '1' then redis.call('HDEL', K.work, id .. ' error', id .. ' beat') end
local how, back = way_back(id, version, anchor, snapshot, change)
local number = version + 1
version = string.format('%d', number)
if snapshot ~= '' then anchor = change == '' and '0' or version end
row = string.format('%d', row)
if blame ~= '-' then blame = cleared(blame) end
last, step = commit_id, ARGV[6]
redis.pcall('XADD', K.events, '*', 'event', 'committed ' .. id .. ' ' .. engine .. ' ' .. version .. ' ' .. state
  .. ' {"step":' .. quoted(step) .. '}')
local entries
if ARGV[9] then
  local r = { state = state, engine = engine, version = version, rest = rest }
  take_parts(id, r, 9)
  rest, entries = r.rest, r.trail
end
local size = back and #back or 0
if is_tidied(number, size) then rest = tidied_rest(id, number, anchor, rest, size) end
-- Without a table if there is nothing else.
local record, entry = F.accepted_text .. rest, back and now .. ' ' .. ARGV[7] .. ' ' .. step .. '\n' .. how .. back
if snapshot ~= '' and back and not entries then
  redis.call('HSET', K.work, id, record, id .. ' snapshot', snapshot, id .. ' v' .. version, entry)
elseif snapshot ~= '' and not entries then
  redis.call('HSET', K.work, id, record, id .. ' snapshot', snapshot)
else
  entries = entries or {}
  if back then push(entries, id .. ' v' .. version, entry) end
  if snapshot ~= '' then push(entries, id .. ' snapshot', snapshot) end
  redis.call('HSET', K.work, id, record, unpack(entries))
end
if ARGV[8] ~= '0' then redis.call('ZADD', K.running, now + ARGV[8], id) end
return 'ok running ' .. version .. ' 0 ' .. now .. ' -1 -1'
