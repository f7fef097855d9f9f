-- Shared by the scripts that move work between places: the line of what is ready, due times, and
-- workers that wait.
-- USES: record blame halts
--
-- Engines, resources and ids hold no spaces, so a space ends each part of a member of the
-- lexicographic sets, and '!' is the byte after it: `ready` has "engine <place> id"; resources.lua
-- describes `blocked` and `lines`. What is suspected (blame.lua) is kept apart, fewest deaths
-- first: "engine! <deaths, two digits> <place> id".

-- A place: it sorts by priority, highest first, then by first come. '%04d%014d', but formatting a
-- number costs more than cutting a string.
local function place_of(r)
  local rank = r.priority == '0' and '1000' or string.format('%04d', 1000 - r.priority)
  return rank .. string.sub('00000000000000' .. r.seq, -14)
end

-- Seldom.
-- A member of `ready` that is not suspected, and a part of those of `blocked` and `lines`.
local function in_line(id, r)
  return r.engine .. ' ' .. place_of(r) .. ' ' .. id
end

-- A member of `ready`.
local function ready_member(id, r)
  if r.blame ~= '-' and is_suspected(r) then
    return string.format('%s! %02d %s %s', r.engine, math.min(blame_of(r).deaths, 99), place_of(r), id)
  end
  return r.engine .. ' ' .. place_of(r) .. ' ' .. id
end

-- Seldom.
-- The first members of the ready set that are of one engine and suspected.
local function suspected_of(engine, count)
  return redis.call('ZRANGEBYLEX', K.ready, '[' .. engine .. '! ', '(' .. engine .. '!!', 'LIMIT', '0', count)
end

-- Seldom.
-- Whether anything of an engine is ready.
local function is_any_ready(engine)
  local found = redis.call('ZRANGEBYLEX', K.ready, '[' .. engine .. ' ', '(' .. engine .. '!!', 'LIMIT', '0', '1')
  return #found > 0
end

-- The first members of the ready set that are of one engine and not suspected.
local function ready_of(engine, count)
  return redis.call('ZRANGEBYLEX', K.ready, '[' .. engine .. ' ', '(' .. engine .. '!', 'LIMIT', '0', count)
end

-- Seldom.
-- Wake one idle worker that runs the engine, if there is one. A worker that has died since does not receive it, so
-- the next is tried.
local function wake(engine)
  for _ = 1, 100 do
    local found = redis.pcall('ZRANGEBYLEX', K.idle, '[' .. engine .. ' ', '(' .. engine .. '!', 'LIMIT', '0', '1')
    if #found == 0 or is_halted(engine) then return end
    redis.call('ZREM', K.idle, found[1])
    local channel = string.match(KEYS[1], '^.-}') .. ':wake:' .. string.sub(found[1], #engine + 2)
    if redis.call('PUBLISH', channel, engine) > 0 then return end
  end
end

-- The order of arrival as returned by `INCR`, or `INCRBY` with `count`. If it is damaged, it
-- continues from the clock, which is ahead of everything so far.
local function sound_seq(found, count)
  if type(found) == 'number' and found >= count and found < 1e14 then return found end
  redis.call('SET', K.seq, now + count)
  return now + count
end

local function make_ready(id, r)
  r.state = 'queued'
  redis.call('ZADD', K.ready, '0', ready_member(id, r))
end

-- Seldom.
-- No delay goes beyond the deadline: the work is then checked and dead-lettered.
local function due_after(r, delay)
  local due, deadline = now + delay, tonumber(r.deadline)
  if deadline > 0 and deadline < due then return r.deadline end
  return whole(due)
end

-- Seldom.
-- Register a worker that wants to be notified of new work for its engines ("a b c").
local function stand_by(worker, engines)
  for engine in string.gmatch(engines, '[^ ]+') do
    redis.pcall('ZADD', K.idle, '0', engine .. ' ' .. worker)
  end
end

-- Seldom.
-- Milliseconds until something is due or a lease expires: 0 if it already is, -1 if nothing will be.
local function until_next()
  local next = -1
  for _, key in ipairs({ K.sleeping, K.retry_wait, K.running }) do
    local head = redis.pcall('ZRANGE', key, '0', '0', 'WITHSCORES')
    if head[2] then
      -- A damaged time may be any number, or none.
      local wait = math.min(math.max(0, (tonumber(head[2]) or 0) - now), 86400000)
      if next < 0 or wait < next then next = wait end
    end
  end
  return next
end

-- Seldom.
-- In a set ordered by name, a single different score hides the members behind it. Give up to `most` of them the
-- score 0 again; return how many.
local function straighten(key, most)
  local bent = redis.pcall('ZRANGEBYSCORE', key, '-inf', '(0', 'LIMIT', '0', most)
  for _, member in ipairs(redis.pcall('ZRANGEBYSCORE', key, '(0', '+inf', 'LIMIT', '0', most)) do
    bent[#bent + 1] = member
  end
  for _, member in ipairs(bent) do redis.call('ZADD', key, '0', member) end
  return #bent
end
