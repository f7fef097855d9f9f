-- Shared by the scripts that find an index and a record that disagree: the record is right.
-- USES: record line resources

-- Seldom.
-- Where work stands by its id, and not by its place in a line: the sets by state.
local function places_by_id()
  return { sleeping = K.sleeping, retry_wait = K.retry_wait, running = K.running, waiting = K.waiting,
    paused = K.paused, done = K.done, failed = K.failed, cancelled = K.cancelled }
end

-- Seldom.
-- The score of a work item that has lost its own. When it was due is unknown, so: now. A lease whose holder lives
-- is renewed within `ttl`.
local function score_for(r, ttl)
  if r.state == 'sleeping' or r.state == 'retry_wait' then return now end
  if r.state == 'running' then return whole(now + ttl) end
  return r.updated
end

-- Seldom.
-- Put a work item where its record says that it belongs, unless it is there.
local function settle(id, r, ttl)
  local place = places_by_id()[r.state]
  if place then
    redis.call('ZADD', place, 'NX', score_for(r, ttl), id)
  elseif r.state == 'blocked' then
    -- Once ready, it is checked again by a claim.
    if not redis.call('ZSCORE', K.blocked, ' ' .. in_line(id, r)) then unblock(id, r) end
  -- What a worker has left for a newer one is set aside.
  elseif not redis.call('ZSCORE', K.newer, 'ready 0 ' .. ready_member(id, r))
    and redis.call('ZADD', K.ready, 'NX', '0', ready_member(id, r)) == 1 then
    wake(r.engine)
  end
end
