-- Remove work that has been terminal for longer than its retention, and all that points to it.
-- KEYS: record item snapshot error beat key failed done cancelled created events workers seen
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

for i = 1, math.min(#candidates, limit) do
  local id = candidates[i].id
  local r = load(id) or { engine = '?', state = 'failed' }
  redis.call('ZREM', candidates[i].key, id)
  redis.call('ZREM', K.created, id)
  for _, key in ipairs({ K.record, K.item, K.snapshot, K.error, K.beat }) do
    redis.call('HDEL', key, id)
  end
  if r.key then redis.call('HDEL', K.key, r.key) end
  event('purged', id, r)
  gone[#gone + 1] = id
end

local silent = redis.call('ZRANGEBYSCORE', K.seen, '-inf', now - ARGV[4], 'LIMIT', 0, limit)
for _, worker in ipairs(silent) do
  redis.call('ZREM', K.seen, worker)
  redis.call('HDEL', K.workers, worker)
end
return gone
