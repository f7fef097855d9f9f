-- Take leases: recover expired ones, promote what is due, take the first that are ready.
-- KEYS: record item snapshot error beat ready sleeping retry_wait running blocked held failed seq events idle
-- ARGV: worker ttl-ms limit "engine engine ..." was-idle(0|1) token...
-- Result: {next-wake-ms|-1, {dead id...}, {claim...}}, a claim being
--   {id token engine fence version attempts recoveries created committed|-1 deadline|-1 expires item snapshot|nil}

local RECOVER_AT_MOST = 100
local PROMOTE_AT_MOST = 1000

local worker, ttl, limit, engines = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local was_idle = ARGV[5] == '1'
local dead, claims = {}, {}

-- 1. Leases whose holder has not renewed them.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', K.running, '-inf', now, 'LIMIT', 0, RECOVER_AT_MOST)) do
  local r, broken = load(id)
  redis.call('ZREM', K.running, id)
  if r then
    release(id, r)
    local recoveries = r.recoveries or 0
    if recoveries >= r.max_recoveries then
      bury(id, r, string.format('{"schema":1,"kind":"recoveries","message":"its worker died %d times over this step"}', recoveries + 1))
      dead[#dead + 1] = id
    else
      r.recoveries = recoveries + 1
      r.updated = now
      make_ready(id, r)
      save(id, r)
      event('recovered', id, r)
    end
    pass_on(r)
  elseif broken then
    quarantine(id)
  end
end

-- 2. Work that has become due, soonest first.
local due = {}
for _, key in ipairs({ K.sleeping, K.retry_wait }) do
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'WITHSCORES', 'LIMIT', 0, PROMOTE_AT_MOST)
  for i = 1, #found, 2 do
    due[#due + 1] = { id = found[i], at = tonumber(found[i + 1]), key = key }
  end
end
table.sort(due, function(a, b)
  if a.at ~= b.at then return a.at < b.at end
  return a.id < b.id
end)
for i = 1, math.min(#due, PROMOTE_AT_MOST) do
  local id = due[i].id
  redis.call('ZREM', due[i].key, id)
  local r, broken = load(id)
  if r then
    r.seq = next_seq()
    make_ready(id, r)
    save(id, r)
  elseif broken then
    quarantine(id)
  end
end

-- 3. The first ones in line.
local function front(count)
  local line = {}
  for engine in string.gmatch(engines, '%S+') do
    for _, member in ipairs(ready_of(engine, count)) do
      local at, id = string.match(member, '^%S+ (%S+) (%S+)$')
      line[#line + 1] = { at = at, id = id, member = member }
    end
  end
  table.sort(line, function(a, b) return a.at < b.at end)
  return line
end

local function busy_resource(r)
  for _, resource in ipairs(r.resources or {}) do
    if redis.call('HEXISTS', K.held, resource) == 1 then return resource end
  end
end

-- Return whether it was taken. If not, the line has to be formed anew: of the engine that has just
-- lost one, it may hold too few, and others may have become ready.
local function take(id, member)
  local r, broken = load(id)
  redis.call('ZREM', K.ready, member)
  if broken then quarantine(id) end
  if not r then return false end
  if r.deadline and r.deadline <= now then
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
    redis.call('ZADD', K.blocked, 0, busy .. ' ' .. r.engine .. ' ' .. place(r) .. ' ' .. id)
    save(id, r)
    event('blocked', id, r, cjson.encode({ resource = busy }))
    pass_on(r)
    return false
  end
  local token = ARGV[6 + #claims]
  r.state = 'running'
  r.token = token
  r.worker = worker
  r.fence = (r.fence or 0) + 1
  r.updated = now
  r.started = r.started or now
  for _, resource in ipairs(r.resources or {}) do redis.call('HSET', K.held, resource, id) end
  redis.call('ZADD', K.running, now + ttl, id)
  save(id, r)
  event('claimed', id, r, cjson.encode({ worker_id = worker, fence = r.fence }))
  claims[#claims + 1] = {
    id, token, r.engine, r.fence, r.version or 0, r.attempts or 0, r.recoveries or 0,
    r.created, r.committed or -1, r.deadline or -1, now + ttl,
    redis.call('HGET', K.item, id), redis.call('HGET', K.snapshot, id),
  }
  return true
end

local inspected, line_empty = 0, false
while #claims < limit and inspected < limit + 100 and not line_empty do
  local line = front(limit - #claims)
  line_empty = #line == 0
  for i = 1, #line do
    if #claims >= limit or inspected >= limit + 100 then break end
    inspected = inspected + 1
    if not take(line[i].id, line[i].member) then break end
  end
end

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
  for engine in string.gmatch(engines, '%S+') do redis.call('ZREM', K.idle, engine .. ' ' .. worker) end
end
-- More was promoted or recovered than this worker takes: let the idle ones share it.
if not line_empty then
  for engine in string.gmatch(engines, '%S+') do
    if #ready_of(engine, 1) > 0 then wake(engine) end
  end
end
return { next_wake, dead, claims }
