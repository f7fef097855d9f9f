-- Read one work item at one moment.
-- KEYS: work sleeping retry_wait running
-- USES: show
-- ARGV: id
-- Result: nil | {id, record|nil, due|nil, expires|nil, item|nil, error|nil, snapshot|nil, heartbeat|nil, tail|nil},
--   the record as `shown` in lib/show.lua returns it

local id = ARGV[1]
local found = redis.call('HMGET', K.work, id, id .. ' item', id .. ' error', id .. ' snapshot', id .. ' beat')
if not found[1] then return nil end
local row = shown(id, found)
row[7], row[8] = found[4], found[5]
return row
