-- Shared by every script that changes something; put in front of it when it is loaded.
--
-- A work item's record is one JSON object in the hash `record`. Its fields:
--   engine state priority seq version step fence token worker attempts max_attempts
--   recoveries max_recoveries deadline resources blocked_on created updated committed
--   started finished nonce key acks has_error has_beat
-- A number that is 0 and a text that is empty are left out. When a lease expires and when
-- work is due stand only as scores in `running`, `sleeping` and `retry_wait`, so that no two
-- places can disagree about them. Times are milliseconds by this server's clock.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local TAG = string.match(KEYS[1], '^.-}')

-- Engines, resources and ids hold no spaces, so a space ends each part of a member of the two
-- lexicographic sets, and '!' is the byte after it:
--   ready:   "engine <place> id"      blocked: "resource engine <place> id"
-- <place> sorts by priority, highest first, then by first come.
local function place(r)
  return string.format('%04d%014.0f', 1000 - (r.priority or 0), r.seq)
end

local function next_seq()
  return redis.call('INCR', K.seq)
end

local function ready_member(id, r)
  return r.engine .. ' ' .. place(r) .. ' ' .. id
end

local function save(id, r)
  redis.call('HSET', K.record, id, cjson.encode(r))
end

local function event(kind, id, r, data)
  redis.call('XADD', K.events, 'MAXLEN', '~', EVENTS_KEPT, '*', 'kind', kind, 'work', id,
    'engine', r.engine, 'version', r.version or 0, 'state', r.state, 'data', data or '{}')
end

local unblock

-- A record that does not decode must not stop the others: it goes to the dead letters, with its
-- bytes left as they are for a person to look at, and what it held is free.
local function quarantine(id)
  redis.call('ZADD', K.failed, now, id)
  redis.call('HSET', K.error, id, '{"schema":1,"kind":"corrupt","message":"the stored record does not decode"}')
  event('dead_lettered', id, { engine = '?', state = 'failed' }, '{"error":{"kind":"corrupt"}}')
  local held = redis.call('HGETALL', K.held)
  for i = 1, #held, 2 do
    if held[i + 1] == id then
      redis.call('HDEL', K.held, held[i])
      unblock(held[i])
    end
  end
end

local type = type

local function is_text(value)
  return value == nil or type(value) == 'string'
end

local function is_number(value)
  return value == nil or type(value) == 'number'
end

local function are_texts(list)
  if list == nil then return true end
  if type(list) ~= 'table' then return false end
  for _, one in pairs(list) do
    if type(one) ~= 'string' then return false end
  end
  return true
end

-- A field of another type would end some script in the middle of what it writes. Written out,
-- because tables of names would be made anew in every call.
local function is_sound(r)
  return type(r) == 'table'
    and type(r.engine) == 'string' and type(r.state) == 'string'
    and type(r.seq) == 'number' and type(r.created) == 'number' and type(r.updated) == 'number'
    and type(r.max_attempts) == 'number' and type(r.max_recoveries) == 'number'
    and is_number(r.priority) and is_number(r.version) and is_number(r.fence)
    and is_number(r.attempts) and is_number(r.recoveries) and is_number(r.deadline)
    and is_number(r.committed) and is_number(r.started) and is_number(r.finished)
    and is_text(r.step) and is_text(r.token) and is_text(r.worker) and is_text(r.key)
    and is_text(r.nonce) and is_text(r.blocked_on)
    and are_texts(r.resources) and are_texts(r.acks)
end

-- Return the record, or nil if there is none, and whether it is there but broken.
local function load(id)
  local raw = redis.call('HGET', K.record, id)
  if not raw then return nil, false end
  local decodes, r = pcall(cjson.decode, raw)
  if not decodes or not is_sound(r) then return nil, true end
  return r, false
end

-- The first members of the ready set that are of one engine.
local function ready_of(engine, count)
  return redis.call('ZRANGEBYLEX', K.ready, '[' .. engine .. ' ', '(' .. engine .. '!', 'LIMIT', 0, count)
end

-- Wake one idle worker that runs the engine, if there is one. A worker that has died since does
-- not hear it, so the next is tried.
local function wake(engine)
  while true do
    local found = redis.call('ZRANGEBYLEX', K.idle, '[' .. engine .. ' ', '(' .. engine .. '!', 'LIMIT', 0, 1)
    if #found == 0 then return end
    redis.call('ZREM', K.idle, found[1])
    local worker = string.sub(found[1], #engine + 2)
    if redis.call('PUBLISH', TAG .. ':wake:' .. worker, engine) > 0 then return end
  end
end

local function make_ready(id, r)
  r.state = 'queued'
  redis.call('ZADD', K.ready, 0, ready_member(id, r))
end

-- Make work ready that waits for a resource: the first of each engine, because a worker may lack
-- the engine of the very first, and the others must not wait for that. Whoever comes too late
-- blocks again.
unblock = function(resource)
  local from = '[' .. resource .. ' '
  while true do
    local found = redis.call('ZRANGEBYLEX', K.blocked, from, '(' .. resource .. '!', 'LIMIT', 0, 1)
    if #found == 0 then return end
    redis.call('ZREM', K.blocked, found[1])
    local engine, id = string.match(found[1], '^%S+ (%S+) %S+ (%S+)$')
    local r, broken = load(id)
    if r then
      r.blocked_on = nil
      r.updated = now
      make_ready(id, r)
      save(id, r)
      event('unblocked', id, r)
      wake(engine)
      from = '[' .. resource .. ' ' .. engine .. '!'
    elseif broken then
      quarantine(id)
    end
  end
end

-- Work that names resources has ended its lease, or left the ready queue without taking them: those
-- that are free may be what another one waits for.
local function pass_on(r)
  for _, resource in ipairs(r.resources or {}) do
    if redis.call('HEXISTS', K.held, resource) == 0 then unblock(resource) end
  end
end

-- What a step said of itself is no news once it has ended.
local function clear_beat(id, r)
  if r.has_beat then
    redis.call('HDEL', K.beat, id)
    r.has_beat = nil
  end
end

-- End a lease: the token is void, and so is its hold on resources.
local function release(id, r)
  clear_beat(id, r)
  redis.call('ZREM', K.running, id)
  r.token = nil
  r.worker = nil
  for _, resource in ipairs(r.resources or {}) do
    if redis.call('HGET', K.held, resource) == id then redis.call('HDEL', K.held, resource) end
  end
end

local function ended(id)
  redis.call('PUBLISH', TAG .. ':ended:' .. id, '')
end

-- Put away as a dead letter; the caller has taken it from its former place.
local function bury(id, r, error)
  r.state = 'failed'
  r.finished = now
  r.updated = now
  r.has_error = 1
  redis.call('ZADD', K.failed, now, id)
  redis.call('HSET', K.error, id, error)
  save(id, r)
  event('dead_lettered', id, r, '{"error":' .. error .. '}')
  ended(id)
end

-- No delay goes beyond the deadline: the work is looked at then, and dead-lettered.
local function due_after(r, delay)
  local due = now + delay
  if r.deadline and r.deadline < due then due = r.deadline end
  return due
end

-- Answers are remembered for the last three leases, each its last, so that a caller whose reply
-- was lost gets the same one again, even after others have worked on the item.
local function remembered(r, token, commit_id)
  local mark = token .. ' ' .. commit_id .. ' '
  for _, ack in ipairs(r.acks or {}) do
    -- Compared before it is taken apart: this runs at every commit, and hardly ever finds one.
    if string.sub(ack, 1, #mark) == mark then
      local state, version, attempts, at, due =
        string.match(ack, '^(%S+) (%d+) (%d+) (%d+) (%-?%d+)$', #mark + 1)
      return { 'ok', state, tonumber(version), tonumber(attempts), tonumber(at), tonumber(due), 0 }
    end
  end
end

local function remember(r, token, commit_id, due)
  local ack = string.format('%s %s %s %d %d %.0f %.0f', token, commit_id, r.state,
    r.version or 0, r.attempts or 0, now, due)
  local acks = r.acks or {}
  if #acks > 0 and string.sub(acks[#acks], 1, #token + 1) == token .. ' ' then
    acks[#acks] = ack
  else
    acks[#acks + 1] = ack
    if #acks > 3 then table.remove(acks, 1) end
  end
  r.acks = acks
end

-- A worker that wants to hear of new work of its engines ("a b c").
local function stand_by(worker, engines)
  for engine in string.gmatch(engines, '%S+') do
    redis.call('ZADD', K.idle, 0, engine .. ' ' .. worker)
  end
end

-- Milliseconds until something is due or a lease expires: 0 if it is by now, -1 if nothing will.
local function until_next()
  local next = -1
  for _, key in ipairs({ K.sleeping, K.retry_wait, K.running }) do
    local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if head[2] then
      local wait = math.max(0, tonumber(head[2]) - now)
      if next < 0 or wait < next then next = wait end
    end
  end
  return next
end

-- A lane of a worker has become free. Return in how many milliseconds it should claim, or -1.
-- Unless that is at once, it is registered as idle, so that it hears of new work without asking.
local function lane_free(worker, engines)
  for engine in string.gmatch(engines, '%S+') do
    if #ready_of(engine, 1) > 0 then return 0 end
  end
  local next = until_next()
  if next ~= 0 then stand_by(worker, engines) end
  return next
end

-- The lease of a claimed item with this token, or an answer to give instead.
local function leased(id, token, commit_id)
  local r, broken = load(id)
  if broken then return nil, { 'corrupt' } end
  if not r then return nil, { 'lost' } end
  local ack = remembered(r, token, commit_id)
  if ack then return nil, ack end
  if r.token ~= token or token == '' then return nil, { 'lost' } end
  return r, nil
end

-- The answer after a lease has ended, and the memory of it. `engines` is empty if the lane leaves.
local function answer_released(id, r, token, commit_id, due, worker, engines)
  remember(r, token, commit_id, due)
  save(id, r)
  pass_on(r)
  local claim_in = -1
  if engines == '' then
    if r.state == 'queued' then wake(r.engine) end
  else
    claim_in = lane_free(worker, engines)
  end
  return { 'ok', r.state, r.version or 0, r.attempts or 0, now, due, claim_in }
end
