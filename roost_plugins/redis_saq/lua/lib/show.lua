-- Shared by the scripts that show work items to people.

-- A score, or false for none: also if the index is damaged.
local function score_in(key, id)
  local score = redis.pcall('ZSCORE', key, id)
  return type(score) == 'string' and score
end

-- A row of what there is: {id, record|layout|nil, due|nil, expires|nil, item|nil, error|nil}. A record is nil
-- if it is broken; one of a newer layout is {layout state engine}; and any other is
--   {state engine worker step blocked_on blame, and the numbers version fence attempts updated committed
--    deadline priority created started max_attempts max_recoveries row max_steps since base}
local function shown(id, found)
  local r = parse(found[1])
  local record = r and {
    r.state, r.engine, r.worker, r.step, r.blocked_on, r.blame, r.version, r.fence, r.attempts, r.updated,
    r.committed, r.deadline, r.priority, r.created, r.started, r.max_attempts, r.max_recoveries, r.row,
    r.max_steps, r.since, r.base,
  }
  if not r and newer_layout(found[1]) then
    record = { string.match(found[1], '^(%d+) (%l[%l_]*) ([!-~]+) ') }
  end
  return {
    id, record or false,
    score_in(K.sleeping, id) or score_in(K.retry_wait, id),
    score_in(K.running, id),
    found[2], found[3],
  }
end
