-- Put a work item back to an earlier version, which becomes its newest: its fence and its versions only ever grow.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer seq events idle waiting paused done cancelled halted index
-- USES: record trail line acts resources moving past
-- ARGV: id request-id if-state|'' if-fence|'' actor deadline-ms|'' life|'' version snapshot step who back
--       from-version
--   version: the new one, one more than the newest; the rest as in lib/past.lua
-- Result: as of control.lua; the outcome is done, unfit, late or changed

local id, request, actor, version, from_version = ARGV[1], ARGV[2], ARGV[5], ARGV[8], ARGV[13]
local r, instead = load(id, parse)
if not r then return instead == 'broken' and 'corrupt' or instead or 'missing' end
if ARGV[7] ~= '' and ARGV[7] ~= r.created then return 'missing' end

local function answer(outcome)
  return outcome .. ' ' .. r.state .. ' ' .. r.version .. ' ' .. (r.state == 'running' and r.wish or '-')
end

-- A repeat, whose first answer was lost.
if r.last == request then return answer('done') end
if (ARGV[3] ~= '' and ARGV[3] ~= r.state) or (ARGV[4] ~= '' and ARGV[4] ~= r.fence) or version + 0 ~= r.version + 1 then
  return answer('changed')
end
if r.state == 'running' then return answer('unfit') end
local deadline = ARGV[6] ~= '' and ARGV[6] or r.deadline
if deadline ~= '0' and is_past(deadline) then return answer('late') end

local from, was_in_line = r.state, false
if from ~= 'paused' then
  local _, others = leave_place(id, r)
  was_in_line = others
end
as_if_none_had_failed(id, r)
r.deadline, r.last, r.updated = deadline, request, now
take_version(id, r, version, ARGV[9], ARGV[10], ARGV[11], ARGV[12])
if from ~= 'paused' then
  r.seq = whole(sound_seq(redis.pcall('INCR', K.seq), 1))
  stand_in_line(id, r)
end
noted('rewound', id, r, told_of(actor, from, '"to_version":' .. from_version .. ','))
save(id, r)
if was_in_line then pass_on(r) end
return answer('done')
