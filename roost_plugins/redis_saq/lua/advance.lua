-- Accept a step whose lease goes on: the most frequent call, so it touches nothing else.
-- KEYS: work running events
-- ARGV: id token commit-id expected-version snapshot step ttl-ms|0 event...
-- Result: 'ok running version 0 at -1 -1' | 'late' | 'lost' | 'newer' | 'version' | 'corrupt'
--   ttl 0: the lease is not extended, because it was renewed lately
--   'late': the deadline has passed or the steps in a row are used up, so the lease cannot go on;
--   nothing was written

local id, commit_id = ARGV[1], ARGV[3]
local r, answer = held_by(id, ARGV[2], commit_id, parse_head)
if answer then return answer end
if r.version ~= ARGV[4] then return 'version' end
if (r.deadline ~= '0' and is_past(r.deadline)) or is_last_in_row(r) then return 'late' end

accept(id, r, ARGV[6])
r.last = commit_id
tell(id, r, 8)
save_step(id, r, ARGV[5])
if ARGV[7] ~= '0' then redis.call('ZADD', K.running, now + ARGV[7], id) end
return 'ok running ' .. r.version .. ' 0 ' .. now .. ' -1 -1'
