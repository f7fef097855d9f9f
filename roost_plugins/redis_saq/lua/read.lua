-- Read one work item at one moment.
-- KEYS: work sleeping retry_wait running
-- USES: show newest
-- ARGV: id
-- Result: nil | {id, record|nil, due|nil, expires|nil, item|nil, error|nil, snapshot|nil, heartbeat|nil, tail|nil, forks|nil},
--   the record as `shown` in lib/show.lua returns it; the snapshot is {base change...} if changes follow it

local id = ARGV[1]
local found = redis.call('HMGET', K.work, id, id .. ' item', id .. ' error', id .. ' snapshot', id .. ' beat', id .. ' forks')
if not found[1] then return nil end
local row, r = shown(id, found)
row[10] = found[6]
row[7], row[8] = r and r.anchor ~= '0' and newest_of(id, r.version, r.anchor) or found[4], found[5]
return row
