-- Take leases: promote what is due, recover expired ones, take the first that are ready.
-- KEYS: work ready sleeping retry_wait running blocked held failed seq turn events idle
-- ARGV: worker ttl-ms limit "engine engine ..." was-idle(0|1) token...
-- Result: {next-wake-ms|-1, {dead id...}, {claim...}}: 0 if more is ready; a claim being
--   {id "token engine fence version attempts recoveries created committed|0 deadline|0 expires" item snapshot|nil}
--
-- What is many is read and written with one command for all of a batch: a command costs more than
-- what it does. A batch is bounded, so that no claim holds the server up for others.

local BATCH = 100

local worker, ttl, limit, engines = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local was_idle = ARGV[5] == '1'
local dead, claims = {}, {}

-- Read the records of many; what is broken goes to the dead letters, what is gone is left out.
local function load_all(ids)
  local found = {}
  if #ids == 0 then return found end
  for i, raw in ipairs(redis.call('HMGET', K.work, unpack(ids))) do
    if raw then
      found[i] = parse(raw) or nil
      if not found[i] then quarantine(ids[i]) end
    end
  end
  return found
end

-- 1. Work that has become due, soonest first.
local due = {}
for _, key in ipairs({ K.sleeping, K.retry_wait }) do
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'WITHSCORES', 'LIMIT', '0', BATCH)
  for i = 1, #found, 2 do
    due[#due + 1] = { id = found[i], at = tonumber(found[i + 1]), key = key }
  end
end
if #due > 0 then
  table.sort(due, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.id < b.id
  end)
  local ids, gone = {}, { [K.sleeping] = {}, [K.retry_wait] = {} }
  for i = 1, math.min(#due, BATCH) do
    ids[i] = due[i].id
    table.insert(gone[due[i].key], due[i].id)
  end
  for key, those in pairs(gone) do call_for('ZREM', key, those) end
  local found = load_all(ids)
  local seq = redis.call('INCRBY', K.seq, #ids) - #ids
  local members, records = {}, {}
  for i, id in ipairs(ids) do
    local r = found[i]
    if r then
      r.seq = whole(seq + i)
      r.state = 'queued'
      members[#members + 1] = '0'
      members[#members + 1] = ready_member(id, r)
      records[#records + 1] = id
      records[#records + 1] = text_of(r)
    end
  end
  call_for('ZADD', K.ready, members)
  call_for('HSET', K.work, records)
end

-- 2. Leases whose holder has not renewed them. They come back to their old places, which are in front
-- of others: no more of them than this claim takes, and if others wait half of that, so that a mass of
-- dead workers' leases holds nobody up.
local expired = redis.call('ZRANGEBYSCORE', K.running, '-inf', now, 'LIMIT', '0', math.min(limit, BATCH))
if #expired > 0 then
  local waiting = 0
  for engine in string.gmatch(engines, '[^ ]+') do waiting = waiting + #ready_of(engine, limit) end
  local half = math.floor((limit + redis.call('INCR', K.turn) % 2) / 2)
  local room = math.max(half, limit - waiting)
  for i = #expired, room + 1, -1 do expired[i] = nil end
  call_for('ZREM', K.running, expired)
  local found = load_all(expired)
  for i, id in ipairs(expired) do
    local r = found[i]
    if r then
      if r.last ~= '-' then remember(r, r.token, r.last, running_answer(r)) end
      release(id, r)
      if tonumber(r.recoveries) >= tonumber(r.max_recoveries) then
        bury(id, r, '{"schema":1,"kind":"recoveries","message":"its worker died ' .. whole(r.recoveries + 1) .. ' times over this step"}')
        dead[#dead + 1] = id
      else
        r.recoveries = whole(r.recoveries + 1)
        r.updated = now
        make_ready(id, r)
        save(id, r)
        event('recovered', id, r, '{}')
      end
      pass_on(r)
    end
  end
end

-- 3. The first ones in line.
local function front(count)
  local line = {}
  for engine in string.gmatch(engines, '[^ ]+') do
    for _, member in ipairs(ready_of(engine, count)) do
      local at, id = string.match(member, '^[^ ]+ ([^ ]+) ([^ ]+)$')
      line[#line + 1] = { at = at, id = id, member = member }
    end
  end
  table.sort(line, function(a, b) return a.at < b.at end)
  return line
end

local function busy_resource(r)
  for resource in string.gmatch(r.resources, '[^ ]+') do
    if redis.call('HEXISTS', K.held, resource) == 1 then return resource end
  end
end

-- What a round takes out of the line, and writes and reads for those that it leases.
local members, leases, records, bytes
local expires, worker_json = whole(now + ttl), quoted(worker)

-- Return whether it was taken. If not, the line has to be formed anew: of the engine that has just
-- lost one, it may hold too few, and others may have become ready.
local function take(id, r)
  if not r then return false end
  if is_past(r.deadline) then
    bury(id, r, '{"schema":1,"kind":"deadline","message":"its deadline has passed"}')
    dead[#dead + 1] = id
    pass_on(r)
    return false
  end
  local busy = busy_resource(r)
  if busy then
    r.state = 'blocked'
    r.blocked_on = busy
    r.updated = now
    redis.call('ZADD', K.blocked, '0', busy .. ' ' .. ready_member(id, r))
    save(id, r)
    event('blocked', id, r, '{"resource":' .. quoted(busy) .. '}')
    pass_on(r)
    return false
  end
  r.state = 'running'
  r.token = ARGV[6 + #claims]
  r.worker = worker
  r.fence = whole(r.fence + 1)
  r.updated = now
  if r.started == '0' then r.started = now end
  for resource in string.gmatch(r.resources, '[^ ]+') do redis.call('HSET', K.held, resource, id) end
  leases[#leases + 1] = expires
  leases[#leases + 1] = id
  records[#records + 1] = id
  records[#records + 1] = text_of(r)
  bytes[#bytes + 1] = id .. ' item'
  bytes[#bytes + 1] = id .. ' snapshot'
  event('claimed', id, r, '{"worker_id":' .. worker_json .. ',"fence":' .. r.fence .. '}')
  claims[#claims + 1] = { id, r.token .. ' ' .. r.engine .. ' ' .. r.fence .. ' ' .. r.version .. ' '
    .. r.attempts .. ' ' .. r.recoveries .. ' ' .. r.created .. ' ' .. r.committed .. ' ' .. r.deadline
    .. ' ' .. expires }
  return true
end

-- Write what a round has leased, and add the bytes to the claims.
local function hand_over(first)
  if #bytes == 0 then return end
  redis.call('ZADD', K.running, unpack(leases))
  redis.call('HSET', K.work, unpack(records))
  local found = redis.call('HMGET', K.work, unpack(bytes))
  for i = 1, #found, 2 do
    local claim = claims[first + (i + 1) / 2]
    claim[3], claim[4] = found[i], found[i + 1]
  end
end

local inspected, line_empty = 0, false
while #claims < limit and inspected < limit + BATCH and not line_empty do
  local line = front(math.min(limit - #claims, BATCH))
  line_empty = #line == 0
  members, leases, records, bytes = {}, {}, {}, {}
  local first, candidates = #claims, {}
  for i = 1, math.min(#line, limit - #claims, BATCH) do candidates[i] = line[i].id end
  local found = #candidates > 0 and redis.call('HMGET', K.work, unpack(candidates)) or {}
  for i, id in ipairs(candidates) do
    if inspected >= limit + BATCH then break end
    inspected = inspected + 1
    members[#members + 1] = line[i].member
    local r = found[i] and parse(found[i])
    if found[i] and not r then quarantine(id) end
    if not take(id, r) then break end
  end
  call_for('ZREM', K.ready, members)
  hand_over(first)
end

if #claims > 0 then trim_events() end

-- 4. When to ask again, and whether to be told before.
local next_wake = -1
if #claims < limit then
  if line_empty then
    stand_by(worker, engines)
    next_wake = until_next()
    -- What this claim has not promoted or recovered, because there was too much, is no news.
    if next_wake == 0 then next_wake = 1 end
  else
    next_wake = 0
  end
elseif was_idle then
  for engine in string.gmatch(engines, '[^ ]+') do redis.call('ZREM', K.idle, engine .. ' ' .. worker) end
end
-- More is ready than this worker takes now: let the idle ones share it.
if not line_empty then
  for engine in string.gmatch(engines, '[^ ]+') do
    if #ready_of(engine, '1') > 0 then
      next_wake = 0
      wake(engine)
    end
  end
end
return { next_wake, dead, claims }
