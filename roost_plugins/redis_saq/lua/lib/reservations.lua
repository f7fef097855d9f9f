-- Shared by the scripts that keep reservations valid: work whose workers are gone, or whose
-- deadline has passed, leaves the lines and is ready like work that was never checked. Nothing then
-- waits behind it. A claim for its engine finds it, and puts it in line again or buries it.
-- USES: record halts line resources
--
-- `offers` is a sorted set by name of which worker runs which engine, stored both ways: "engine
-- <engine> <worker>" and "worker <worker> <engine>". A worker counts for as long as the register
-- shows it as live.

-- Seldom.
local function offer(worker, engines)
  for _, engine in ipairs(engines) do
    redis.call('ZADD', K.offers, '0', 'engine ' .. engine .. ' ' .. worker, '0', 'worker ' .. worker .. ' ' .. engine)
  end
end

local function withdraw(worker)
  local own = 'worker ' .. worker
  for _, member in ipairs(redis.call('ZRANGEBYLEX', K.offers, '[' .. own .. ' ', '(' .. own .. '!', 'LIMIT', '0', '1000')) do
    redis.call('ZREM', K.offers, member, 'engine ' .. string.sub(member, #own + 2) .. ' ' .. worker)
  end
end

-- A worker's entry in the register, or an empty table.
local function info_of(worker)
  local text = redis.call('HGET', K.workers, worker)
  local is_json, info = pcall(cjson.decode, text or '')
  return is_json and type(info) == 'table' and info or {}
end

-- The engines that a worker's info names.
local function engines_of(info)
  local engines = {}
  if type(info.engines) ~= 'table' then return engines end
  for _, engine in ipairs(info.engines) do engines[#engines + 1] = tostring(engine) end
  return engines
end

-- Whether a worker has been heard from within three of its lease times, as in the register of live
-- ones.
local function is_live(worker)
  local seen = tonumber(redis.call('ZSCORE', K.seen, worker) or nil)
  local ttl = tonumber(info_of(worker).lease_ttl_seconds) or 20
  return seen ~= nil and now - seen <= math.max(5000, ttl * 3000)
end

-- Whether a live worker runs the engine, and nobody holds it. Those that have died since are removed.
local function is_offered(engine)
  if is_halted(engine) then return false end
  for _ = 1, 100 do
    local offered = 'engine ' .. engine
    local member = redis.call('ZRANGEBYLEX', K.offers, '[' .. offered .. ' ', '(' .. offered .. '!', 'LIMIT', '0', '1')[1]
    local worker = member and string.sub(member, #offered + 2)
    if not member or is_live(worker) then return member ~= nil end
    redis.call('ZREM', K.offers, member)
    withdraw(worker)
  end
  -- More dead ones than one check removes: leave the rest to the next.
  return true
end

-- Take up to `limit` items out of the lines, from a range of `lines` whose members end with an id.
-- Return how many there were, and note in `names` the resources that they stood in line for.
local function step_out(from, to, limit, names)
  local members = redis.call('ZRANGEBYLEX', K.lines, from, to, 'LIMIT', '0', limit)
  for _, member in ipairs(members) do
    redis.call('ZREM', K.lines, member)
    local id = string.match(member, '([^ ]+)$')
    local r = load(id or '', parse)
    if r and leave_lines(id, r) then
      for _, name in ipairs(words(r.resources)) do names[name] = true end
      if r.state == 'blocked' then unblock(id, r) end
    end
  end
  return #members
end

-- Take out those whose engine no worker offers any more, and those whose deadline has passed.
local function step_out_void(limit, names)
  local from = '[engine '
  for _ = 1, 1000 do
    local member = redis.call('ZRANGEBYLEX', K.lines, from, '(engine!', 'LIMIT', '0', '1')[1]
    local line = member and string.match(member, '^engine [^ ]*')
    if not line or limit == 0 then break end
    if not is_offered(string.sub(line, 8)) then
      limit = limit - step_out('[' .. line .. ' ', '(' .. line .. '!', limit, names)
    end
    from = '[' .. line .. '!'
  end
  step_out('[deadline ', string.format('(deadline %016d ', now + 1), limit, names)
end

-- Choose up to `count` resources with work in line, from a position chosen by the clock. What is
-- not a member of a line is dropped.
local function some_of(count, names)
  local rank = now % math.max(1, redis.call('ZCARD', K.lines))
  local from = '[' .. (redis.call('ZRANGE', K.lines, rank, rank)[1] or '')
  for _ = 1, count do
    local member = redis.call('ZRANGEBYLEX', K.lines, from, '+', 'LIMIT', '0', '1')[1]
    local name = member and string.match(member, '^resource ([^ ]+) ')
    if name and names[name] then break end
    if name then names[name] = true end
    if member and not name and not string.find(member, '^engine [^ ]+ ') and not string.find(member, '^deadline %d+ ') then
      redis.call('ZREM', K.lines, member)
    end
    from = name and '[resource ' .. name .. '!' or '[resource '
  end
end

-- Void reservations, 500 in a call at most. And check some resources as if they had just become
-- free, because damage, or a worker of an earlier Roost, may have left work waiting for nothing.
-- What such a worker put into `blocked` itself is checked again by a claim.
local function void_reservations()
  for _, key in ipairs({ K.blocked, K.lines, K.offers }) do straighten(key, 100) end
  if redis.call('ZCARD', K.blocked) > 0 then
    local parked = redis.call('ZRANGEBYLEX', K.blocked, '[!', '+', 'LIMIT', '0', '500')
    for _, member in ipairs(parked) do look_anew(member) end
  end
  if redis.call('ZCARD', K.lines) == 0 then return end
  local names, sorted = {}, {}
  step_out_void(500, names)
  some_of(50, names)
  for name in pairs(names) do sorted[#sorted + 1] = name end
  table.sort(sorted)
  look_at(sorted)
end
