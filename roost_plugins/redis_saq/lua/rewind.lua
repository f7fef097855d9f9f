-- Put a work item back to an earlier version, which becomes its newest: its fence and its versions only ever grow.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer seq events idle waiting paused done cancelled halted index
-- USES: record trail line acts resources moving history newest past
-- ARGV: id request-id if-state|'' if-fence|'' actor deadline-ms|'' life|'' version snapshot step who back
--       from-version (earlier-version entry)...
--   if-state: while it waits its turn, it may also do so in another state
--   version: the new one, one more than the newest; the rest as in lib/past.lua
--   earlier-version entry: of the history, in place of what is there
-- Result: as of control.lua; the outcome is done, unfit, late or changed

local id, request, actor, version, from_version = ARGV[1], ARGV[2], ARGV[5], ARGV[8], ARGV[13]
local r, instead = load(id, parse)
if not r then return instead == 'broken' and 'corrupt' or instead or 'missing' end
if ARGV[7] ~= '' and ARGV[7] ~= r.created then return 'missing' end

local function answer(outcome)
  return outcome .. ' ' .. r.state .. ' ' .. r.version .. ' ' .. (r.state == 'running' and r.wish or '-')
end

-- Where only people, or its end, have put it.
local SETTLED = { paused = true, done = true, failed = true, cancelled = true }

local function is_as_seen()
  if ARGV[4] ~= '' and ARGV[4] ~= r.fence then return false end
  if version + 0 ~= r.version + 1 then return false end
  return ARGV[3] == '' or ARGV[3] == r.state or not (SETTLED[ARGV[3]] or SETTLED[r.state])
end

local acts, labels, others = acts_of(r)
-- A repeat, whose first answer was lost.
local before = answer_before(acts, request)
if before then return before end
if not is_as_seen() then return answer('changed') end
if r.state == 'running' then return answer('unfit') end
local deadline = ARGV[6] ~= '' and ARGV[6] or r.deadline
if deadline ~= '0' and is_past(deadline) then return answer('late') end

local from, was_in_line = r.state, false
if from ~= 'paused' then
  local _, are_others = leave_place(id, r)
  was_in_line = are_others
end
as_if_none_had_failed(id, r)
r.deadline, r.updated = deadline, now
take_version(id, r, version, ARGV[9], ARGV[10], ARGV[11], ARGV[12])
for i = 14, #ARGV, 2 do add_field(r, version_field(id, ARGV[i]), ARGV[i + 1]) end
if is_tidied(version, #ARGV[12]) then r.oldest = tidied(id, version, r.anchor, r.oldest, #ARGV[12]) end
if from ~= 'paused' then
  r.seq = whole(sound_seq(redis.pcall('INCR', K.seq), 1))
  stand_in_line(id, r)
end
noted('rewound', id, r, told_of(actor, from, '"to_version":' .. from_version .. ','))
-- Resumed, it does not wait for what it waited for before: that was of the version that it had then.
table.insert(acts, 1, { request = request, outcome = 'done', verb = 'rewind', from = from == 'paused' and 'queued' or from,
  state = r.state, version = r.version, at = r.ended_at, confirmed = r.ended_at, confirmed_version = r.version, due = '-',
  actor = actor })
set_acts(r, acts, labels, others)
save(id, r)
if was_in_line then pass_on(r) end
return answer('done')
