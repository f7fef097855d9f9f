-- Remove work that has been terminal for longer than its retention, and everything that points to it.
-- KEYS: work key failed done cancelled created events workers seen beats claims forgetting ready sleeping retry_wait running blocked held lines newer idle offers waiting paused halted index
-- USES: record index reservations settle removing
-- ARGV: retention-ms dead-letter-retention-ms|-1 limit forget-workers-after-ms "life id"...
--   those whose artifacts and workspaces are forgotten; a life is when the id was created, or 0
-- Result: {"life id"...} that are gone and not forgotten, least recently returned first

local limit = tonumber(ARGV[3])
local BATCH = 100
-- The most claims of a worker that wait for their answers.
local SLOTS = 8
-- What a newer Roost wrote is left for it: this many are skipped in one call.
local MOST_LEFT = 1000
-- A lease whose entry is lost ends after this time, unless its holder renews it. Milliseconds.
local LEASE = 60000

-- Up to `limit` past their retention, oldest first. A broken record has no state.
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

for first = 5, #ARGV, BATCH do
  redis.pcall('ZREM', K.forgetting, unpack(ARGV, first, math.min(first + BATCH - 1, #ARGV)))
end

for first = 1, math.min(#candidates, limit), BATCH do
  local those, places = {}, { [K.done] = {}, [K.cancelled] = {}, [K.failed] = {} }
  for i = first, math.min(first + BATCH - 1, #candidates, limit) do
    local one = candidates[i]
    local is_broken = not one.r
    if is_broken then one.r = broken_record(one.id) end
    those[#those + 1] = one
    table.insert(places[one.key], one.id)
    -- What is not an id had no work, either.
    if not is_broken or string.find(one.id, '^[!-~]+$') then event('purged', one.id, one.r, '{}') end
  end
  for place, ids in pairs(places) do call_for('ZREM', place, ids) end
  remove_all(those)
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
-- A limit of 0 only strikes off what was forgotten, once for each work item that a person drops.
if limit > 0 then pcall(function() sweep_index(200) end) end

-- Returned until it is done: this answer may get lost, or its reader die.
local gone, told = {}, {}
local found = limit > 0 and redis.pcall('ZRANGE', K.forgetting, '0', whole(limit - 1)) or {}
for _, member in ipairs(found) do
  if #member < 1000 and string.find(member, '^%d%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d? [!-~]+$') then
    gone[#gone + 1] = member
    told[#told + 1] = now
    told[#told + 1] = member
  else
    redis.call('ZREM', K.forgetting, member)
  end
end
call_for('ZADD', K.forgetting, told)
return gone
