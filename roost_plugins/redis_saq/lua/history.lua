-- Read a work item with what is kept of its versions, at one moment.
-- KEYS: work sleeping retry_wait running
-- USES: record show newest
-- ARGV: id
-- Result: nil | {row, snapshot|nil, base-version, {version entry ...}}, the row as in read.lua but without snapshot,
--   the entries as in lib/history.lua, newest first

local id = ARGV[1]
local found = redis.call('HMGET', K.work, id, id .. ' item', id .. ' error', id .. ' snapshot', id .. ' beat', id .. ' forks')
if not found[1] then return nil end
local row, r = shown(id, found)
row[8], row[10] = found[5], found[6]
local entries = {}
if r then
  -- Since then all were committed by this or an earlier Roost, which keeps none: as many as there can be.
  local newest = r.version + 0
  local oldest = math.max(1, first_kept(r.oldest) + 0, newest - HISTORY_VERSIONS - 2100)
  for begin = newest, oldest, -500 do
    local fields, last = {}, math.max(oldest, begin - 499)
    for one = begin, last, -1 do fields[#fields + 1] = version_field(id, one) end
    for i, entry in ipairs(redis.call('HMGET', K.work, unpack(fields))) do
      if entry then push(entries, string.format('%d', begin - i + 1), entry) end
    end
  end
end
return { row, found[4], r and (r.anchor == '0' and r.version or r.anchor) or '0', entries }
