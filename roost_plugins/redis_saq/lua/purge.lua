-- Remove work that has been terminal for longer than its retention, and all that points to it.
-- KEYS: work key failed done cancelled created events workers seen
-- ARGV: retention-ms dead-letter-retention-ms|-1 limit forget-workers-after-ms
-- Result: {id...} that are gone

local gone = {}
local limit = tonumber(ARGV[3])

local function expired(key, retention)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now - retention, 'WITHSCORES', 'LIMIT', 0, limit)
end

local candidates = {}
local function consider(key, retention)
  local found = expired(key, retention)
  for i = 1, #found, 2 do
    candidates[#candidates + 1] = { id = found[i], at = tonumber(found[i + 1]), key = key }
  end
end
consider(K.done, tonumber(ARGV[1]))
consider(K.cancelled, tonumber(ARGV[1]))
if tonumber(ARGV[2]) >= 0 then consider(K.failed, tonumber(ARGV[2])) end
table.sort(candidates, function(a, b)
  if a.at ~= b.at then return a.at < b.at end
  return a.id < b.id
end)

-- In batches, because a command costs more than what it does.
local BATCH = 100
for first = 1, math.min(#candidates, limit), BATCH do
  local ids, fields, keys = {}, {}, {}
  local places = { [K.done] = {}, [K.cancelled] = {}, [K.failed] = {} }
  for i = first, math.min(first + BATCH - 1, #candidates, limit) do
    local id = candidates[i].id
    ids[#ids + 1] = id
    gone[#gone + 1] = id
    table.insert(places[candidates[i].key], id)
    for _, field in ipairs({ id, id .. ' item', id .. ' snapshot', id .. ' error', id .. ' beat' }) do
      fields[#fields + 1] = field
    end
  end
  for i, raw in ipairs(redis.call('HMGET', K.work, unpack(ids))) do
    local r = raw and parse(raw) or { engine = '?', version = '0', state = 'failed', key = '' }
    if r.key ~= '' then keys[#keys + 1] = r.key end
    event('purged', ids[i], r, '{}')
  end
  for place, those in pairs(places) do call_for('ZREM', place, those) end
  redis.call('ZREM', K.created, unpack(ids))
  redis.call('HDEL', K.work, unpack(fields))
  call_for('HDEL', K.key, keys)
end

local silent = redis.call('ZRANGEBYSCORE', K.seen, '-inf', now - ARGV[4], 'LIMIT', 0, limit)
for _, worker in ipairs(silent) do
  redis.call('ZREM', K.seen, worker)
  redis.call('HDEL', K.workers, worker)
end
return gone
