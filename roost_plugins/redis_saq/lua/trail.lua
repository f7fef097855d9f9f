-- Read one work item's own trail.
-- KEYS: work sleeping retry_wait running
-- USES: record trail show
-- ARGV: id
-- Result: nil | {row, {entry...}, tail|nil}: the row as `shown` in lib/show.lua returns it, the entries as lib/trail.lua
--   describes them, oldest first; of a record that is broken or newer all that there are, in any order; the tail as
--   lib/acts.lua describes it

local id = ARGV[1]
local raw = redis.call('HGET', K.work, id)
if not raw then return nil end
local r = parse(raw)
local fields = trail_fields(id, r and r.entries)
local entries = {}
for _, entry in ipairs(#fields > 0 and redis.call('HMGET', K.work, unpack(fields)) or {}) do
  if entry and entry ~= '' then entries[#entries + 1] = entry end
end
return { shown(id, { raw, false, false }), entries, r and r.tail }
