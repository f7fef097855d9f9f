-- Remove one work item that has ended for good, because a person wants that, and everything that points to it.
-- KEYS: work key done failed cancelled created forgetting events ready sleeping retry_wait running blocked held lines newer idle waiting paused halted index
-- USES: record acts resources settle removing
-- ARGV: id if-state|'' if-fence|'' actor life|''
--   life: when it was created, so that a repeat is recognized whose first answer was lost
-- Result: 'missing' | 'newer' | 'already - 0 - life' | 'done state version - life' | 'unfit state version wish|-' |
--   'changed state version wish|-'; what is done, or was already, is to be forgotten and then said to be, as after a
--   purge

local id, actor, life = ARGV[1], ARGV[4], ARGV[5]
local r, instead = load(id, parse)
if instead == 'newer' then return 'newer' end
if not instead and (not r or (life ~= '' and life ~= r.created)) then
  local is_known = life ~= '' and redis.pcall('ZSCORE', K.forgetting, life .. ' ' .. id)
  return type(is_known) == 'string' and 'already - 0 - ' .. life or 'missing'
end

local function answer(outcome)
  return outcome .. ' ' .. r.state .. ' ' .. r.version .. ' ' .. (r.state == 'running' and r.wish or '-')
end

if not r then
  -- It may stand, and hold, anything.
  if not redis.call('ZSCORE', K.failed, id) then quarantine(id) end
  for _, place in pairs(places_by_id()) do redis.call('ZREM', place, id) end
  r = broken_record(id)
elseif (ARGV[2] ~= '' and ARGV[2] ~= r.state) or (ARGV[3] ~= '' and ARGV[3] ~= r.fence) then
  return answer('changed')
elseif r.state ~= 'done' and r.state ~= 'failed' and r.state ~= 'cancelled' then
  return answer('unfit')
else
  redis.call('ZREM', places_by_id()[r.state], id)
end
life = life_of(id, r)
event('dropped', id, r, told_of(actor, r.state))
remove_all({ { id = id, r = r } })
if now % 64 == 0 then trim_events() end
return answer('done') .. ' ' .. life
