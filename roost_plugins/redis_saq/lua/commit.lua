-- Accept a step that ends its lease, and schedule what is next.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer done seq events idle paused cancelled halted index
-- USES: record index blame line release acts history parts holder giveback
-- ARGV: id token commit-id expected-version snapshot|'' step "took-ms worker" yield|sleep|finish delay-ms
--       "engine engine ..."|'-'|'' part... (lib/parts.lua)
-- Result: 'ok state version attempts at due|-1 claim-in-ms|-1' | 'lost' | 'newer' | 'version' | 'corrupt'

local id, token, commit_id, snapshot, next = ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[8]
local change = ARGV[11] and change_in(11) or ''
local r, answer = held_by(id, token, commit_id)
if answer then return answer end
local wish = r.wish ~= '-' and taken_wish(r)
if wish and is_final(wish) then
  redis.call('ZREM', K.running, id)
  release(id, r)
  obeyed(id, r, wish, '-')
  return given_back(id, r, token, commit_id, '-1', r.holder, ARGV[10])
end
if r.version ~= ARGV[4] then return 'version' end
-- Only what is, or follows from, a base has changes; and without a change, '~', it would be lost.
if snapshot == '' and (r.anchor == '0' or string.byte(change) ~= 126) then return 'version' end
local is_paused = wish == 'pause'
if ARGV[11] then check_parts(11) end

-- Whether it is the last one that may follow others without a delay.
local row = r.row + 1
local is_used_up = next == 'yield' and r.max_steps ~= '0' and row - r.max_steps >= 0
if r.has_error == '1' then forget_error(id) end
if r.has_error == '1' or r.has_beat == '1' then redis.call('HDEL', K.work, id .. ' error', id .. ' beat') end
local how, back = way_back(id, r.version, r.anchor, snapshot, change)
F.accepted_of_r
local version = r.version + 1
r.version = string.format('%d', version)
r.row = string.format('%d', row)
if r.blame ~= '-' then r.blame = cleared(r.blame) end
r.step = ARGV[6]
if snapshot ~= '' then r.anchor = change == '' and '0' or r.version end
local size = back and #back or 0
if is_tidied(version, size) then r.oldest = tidied(id, version, r.anchor, r.oldest, size) end
redis.call('ZREM', K.running, id)
release(id, r)
local due = '-1'
if is_used_up then
  r.state = 'queued'
elseif next == 'yield' then
  r.seq = string.format('%d', sound_seq(redis.pcall('INCR', K.seq), 1))
  if is_paused then r.state = 'queued' else make_ready(id, r) end
elseif next == 'sleep' then
  due = due_after(r, ARGV[9])
  r.state = 'sleeping'
  r.row = '0'
  if not is_paused then redis.call('ZADD', K.sleeping, due, id) end
else
  r.state = 'done'
  redis.call('ZADD', K.done, now, id)
  ended(id)
end
r.ended_at, r.ended_by = event('committed', id, r, '{"step":' .. quoted(r.step) .. '}'), 'committed'
if ARGV[11] then take_parts(id, r, 11) end
if is_used_up then
  dead_letter(id, r, '{"schema":1,"kind":"steps","message":"it took ' .. r.row
    .. ' steps in a row without a delay, and may not take more"}')
elseif is_paused then
  obeyed(id, r, wish, due == '-1' and '-' or due)
end
return given_back(id, r, token, commit_id, due, r.holder, ARGV[10], snapshot,
  back and now .. ' ' .. ARGV[7] .. ' ' .. r.step .. '\n' .. how .. back)
