-- Read work items, without snapshots.
-- KEYS: work sleeping retry_wait running
-- USES: show
-- ARGV: id...
-- Result: {row...}, as `shown` in lib/show.lua returns them, with items as `listed` there; what is gone is left out

local rows = {}
for _, id in ipairs(ARGV) do
  local found = redis.call('HMGET', K.work, id, id .. ' item', id .. ' error')
  found[2] = listed(found[2])
  if found[1] then rows[#rows + 1] = shown(id, found) end
end
return rows
