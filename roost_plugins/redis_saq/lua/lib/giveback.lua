-- Shared by the scripts that give leases back.
-- USES: record trail halts line release acts resources holder

-- Seldom.
-- A lane of a worker has become free. Return in how many milliseconds it should claim, or -1.
-- Unless that is at once, it is registered as idle, so that it is notified of new work.
local function lane_free(worker, engines)
  for engine in string.gmatch(engines, '[^ ]+') do
    if is_any_ready(engine) and not is_halted(engine) then return 0 end
  end
  local next = until_next()
  if next ~= 0 then stand_by(worker, engines) end
  return next
end

-- Store the outcome, remember the answer, and return it. `engines` is empty if the lane leaves, and
-- '-' if it need not look for work, because a claim follows. Of an accepted step there is a new snapshot, or '', and
-- an entry of its history (history.lua), if there is to be one.
local function given_back(id, r, token, commit_id, due, worker, engines, snapshot, entry)
  local answer = r.state .. ' ' .. r.version .. ' ' .. r.attempts .. ' ' .. now .. ' ' .. due
  remember(id, r, token, commit_id, answer)
  note_lease(id, r)
  if entry and snapshot ~= '' then
    redis.call('HSET', K.work, id, text_of(r), id .. ' snapshot', snapshot, id .. ' v' .. r.version, entry,
      unpack(r.trail or {}))
  else
    if entry then add_field(r, id .. ' v' .. r.version, entry) end
    if snapshot and snapshot ~= '' then add_field(r, id .. ' snapshot', snapshot) end
    save(id, r)
  end
  if r.resources ~= '' then pass_on(r) end
  if engines == '' or engines == '-' then
    if engines == '' and r.state == 'queued' then wake(r.engine) end
    return 'ok ' .. answer .. ' -1'
  end
  -- What is ready itself need not be looked for: were its engine held, that would have been a wish.
  if r.state == 'queued' and not r.was_halted and string.find(' ' .. engines .. ' ', ' ' .. r.engine .. ' ', 1, true) then
    return 'ok ' .. answer .. ' 0'
  end
  return 'ok ' .. answer .. ' ' .. whole(lane_free(worker, engines))
end

-- Seldom.
-- Take back, without blame, what a worker's claims leased if it never got their answers.
-- `named` is "slot:claim-id ...", as the worker gave them when it claimed.
local function take_back(worker, named)
  for slot, claim_id in string.gmatch(named, '(%d+):(%w+)') do
    local field = worker .. ' ' .. slot
    local stored = redis.pcall('HGET', K.claims, field)
    if type(stored) == 'string' and string.sub(stored, 1, #claim_id + 1) == claim_id .. ' ' then
      for id, token in string.gmatch(string.sub(stored, #claim_id + 2), '(%S+) (%S+)') do
        local r = load(id, parse)
        if r and (r.token == token or is_marked(r, token)) then
          local wish = taken_wish(r)
          redis.call('ZREM', K.running, id)
          release(id, r)
          r.updated = now
          if is_final(wish) then
            obeyed(id, r, wish, '-')
          else
            r.state = 'queued'
            noted('interrupted', id, r, '{"reason":"the answer to its claim was lost"}')
            if not obeyed(id, r, wish, '-') then make_ready(id, r) end
          end
          note_lease(id, r)
          save(id, r)
          pass_on(r)
        end
      end
      redis.pcall('HDEL', K.claims, field)
    end
  end
end
