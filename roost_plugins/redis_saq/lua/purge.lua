-- Remove work that has been terminal for longer than its retention, and all that points to it.
-- KEYS: work key failed done cancelled created events workers seen beats claims ready sleeping retry_wait running blocked held lines newer idle offers waiting paused
-- ARGV: retention-ms dead-letter-retention-ms|-1 limit forget-workers-after-ms
-- Result: {id...} that are gone

local gone = {}
local limit = tonumber(ARGV[3])
local BATCH = 100
-- A worker has as many claims under way that wait for their answers, at most.
local SLOTS = 8
-- What a newer Roost has written is left for it: so many of them are passed over in one call.
local MOST_LEFT = 1000
-- A lease whose entry is lost ends after so long, unless its holder renews it. Milliseconds.
local LEASE = 60000

-- Up to `limit` that are over their retention, the oldest first. What is broken has no state of its own.
local candidates = {}
local function consider(key, state, retention)
  local from, looked, taken = 0, 0, 0
  while taken < limit and looked < limit + MOST_LEFT do
    local found = redis.call('ZRANGEBYSCORE', key, '-inf', now - retention, 'WITHSCORES', 'LIMIT', from, BATCH)
    if #found == 0 then break end
    local ids = {}
    for i = 1, #found, 2 do ids[#ids + 1] = found[i] end
    looked = looked + #ids
    for i, raw in ipairs(redis.call('HMGET', K.work, unpack(ids))) do
      local r = raw and parse(raw)
      if r and r.state ~= state then
        redis.call('ZREM', key, ids[i])
        settle(ids[i], r, LEASE)
      else
        from = from + 1
        if r or not raw or not newer_layout(raw) then
          taken = taken + 1
          candidates[#candidates + 1] = { id = ids[i], at = tonumber(found[2 * i]), key = key, r = r }
        end
      end
    end
  end
end
consider(K.done, 'done', tonumber(ARGV[1]))
consider(K.cancelled, 'cancelled', tonumber(ARGV[1]))
if tonumber(ARGV[2]) >= 0 then consider(K.failed, 'failed', tonumber(ARGV[2])) end
table.sort(candidates, function(a, b)
  if a.at ~= b.at then return a.at < b.at end
  return a.id < b.id
end)

-- In batches, because a command costs more than what it does.
for first = 1, math.min(#candidates, limit), BATCH do
  local ids, fields, keys = {}, {}, {}
  local places = { [K.done] = {}, [K.cancelled] = {}, [K.failed] = {} }
  for i = first, math.min(first + BATCH - 1, #candidates, limit) do
    local one = candidates[i]
    local id, r = one.id, one.r or { engine = '?', version = '0', state = 'failed', key = '' }
    ids[#ids + 1] = id
    gone[#gone + 1] = id
    table.insert(places[one.key], id)
    call_for('HDEL', K.work, trail_fields(id, r.entries))
    for _, field in ipairs({ id, id .. ' item', id .. ' snapshot', id .. ' error', id .. ' beat' }) do
      fields[#fields + 1] = field
    end
    if r.key ~= '' then keys[#keys + 1] = r.key end
    -- What is no id had no work either.
    if one.r or string.find(id, '^[!-~]+$') then event('purged', id, r, '{}') end
  end
  for place, those in pairs(places) do call_for('ZREM', place, those) end
  redis.call('ZREM', K.created, unpack(ids))
  redis.call('HDEL', K.work, unpack(fields))
  call_for('HDEL', K.key, keys)
end

local silent = redis.pcall('ZRANGEBYSCORE', K.seen, '-inf', now - ARGV[4], 'LIMIT', 0, limit)
for _, worker in ipairs(silent) do
  pcall(withdraw, worker)
  redis.call('ZREM', K.seen, worker)
  redis.pcall('HDEL', K.workers, worker)
  redis.pcall('HDEL', K.beats, worker)
  for slot = 1, SLOTS do redis.pcall('HDEL', K.claims, worker .. ' ' .. slot) end
end
pcall(void_reservations)
return gone
