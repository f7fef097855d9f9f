-- What a claim does only occasionally, and when there was not enough to take.
-- USES: record line resources

-- Seldom.
-- Put back what an older worker has set aside and this one knows, up to `most`. Return how many.
local function put_back(most)
  local kept = redis.pcall('ZRANGEBYSCORE', K.newer, '-inf', READS, 'LIMIT', '0', most)
  if #kept == 0 then return 0 end
  local places = { ready = K.ready, sleeping = K.sleeping, retry_wait = K.retry_wait, running = K.running,
    blocked = K.blocked }
  for _, one in ipairs(kept) do
    local place, score, member = string.match(one, '^(%l[%l_]*) (%S+) (.+)$')
    if place and places[place] and tonumber(score) then
      -- A damaged score may not be a number at all.
      redis.pcall('ZADD', places[place], 'NX', score, member)
      -- Its places in the lines are gone: it is checked again.
      if place == 'blocked' then look_anew(member) end
    end
  end
  redis.call('ZREM', K.newer, unpack(kept))
  return #kept
end

-- Seldom.
-- Whether suspected work has waited too long for a worker that runs nothing else, and no other worker makes room
-- for it.
local function is_to_drain(worker, engines, ttl)
  for engine in string.gmatch(engines, '[^ ]+') do
    local member = suspected_of(engine, '1')[1]
    local r = member and load(string.match(member, '([^ ]*)$'), parse)
    if r and now - r.updated > ttl then
      return redis.call('SET', K.solo, worker, 'PX', whole(10 * ttl), 'NX')
        or redis.pcall('GET', K.solo) == worker
    end
  end
end
