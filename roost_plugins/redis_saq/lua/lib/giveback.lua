-- Shared by the scripts that give a lease back.

-- A lane of a worker has become free. Return in how many milliseconds it should claim, or -1.
-- Unless that is at once, it is registered as idle, so that it hears of new work without asking.
local function lane_free(worker, engines)
  for engine in string.gmatch(engines, '[^ ]+') do
    if #ready_of(engine, '1') > 0 then return 0 end
  end
  local next = until_next()
  if next ~= 0 then stand_by(worker, engines) end
  return next
end

-- Write what has become of it, remember the answer, and give it. `engines` is empty if the lane leaves,
-- and '-' if it needs no looking for work, because a claim follows.
local function given_back(id, r, token, commit_id, due, worker, engines)
  local answer = r.state .. ' ' .. r.version .. ' ' .. r.attempts .. ' ' .. now .. ' ' .. due
  remember(r, token, commit_id, answer)
  save(id, r)
  pass_on(r)
  if engines == '' or engines == '-' then
    if engines == '' and r.state == 'queued' then wake(r.engine) end
    return 'ok ' .. answer .. ' -1'
  end
  return 'ok ' .. answer .. ' ' .. whole(lane_free(worker, engines))
end
