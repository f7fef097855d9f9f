-- Shared by the scripts that end leases: dead letters, and what a lease held.
-- USES: record index trail blame

-- Seldom.
local function ended(id)
  redis.call('PUBLISH', string.match(KEYS[1], '^.-}') .. ':ended:' .. id, '')
end

-- Seldom.
-- Store the error with the work item, whose state says whether that is a dead letter's.
local function note_error(id, r, error)
  if r.has_error == '1' then forget_error(id) end
  redis.call('HSET', K.work, id .. ' error', error)
  redis.pcall('ZADD', K.index, '0', error_member(id, r, error))
  r.has_error = '1'
end

-- Seldom.
-- Store as a dead letter; the caller has removed it from its former place.
local function dead_letter(id, r, error)
  r.state = 'failed'
  r.updated = now
  redis.call('ZADD', K.failed, now, id)
  note_error(id, r, error)
  noted('dead_lettered', id, r, '{"error":' .. error .. '}', in_brief(error))
  save(id, r)
  ended(id)
end

-- Seldom.
-- A record that does not decode must not stop the others: it goes to the dead letters, with its bytes left
-- unchanged for a person to inspect. Return the resources that it held.
local function bury_broken(id)
  redis.call('ZADD', K.failed, now, id)
  note_error(id, { state = 'failed', has_error = '1' },
    '{"schema":1,"kind":"corrupt","message":"the stored record does not decode"}')
  if string.find(id, '^[!-~]+$') then
    event('dead_lettered', id, { engine = '?', version = '0', state = 'failed' }, '{"error":{"kind":"corrupt"}}')
  end
  local held, freed = redis.call('HGETALL', K.held), {}
  for i = 1, #held, 2 do
    if held[i + 1] == id then
      redis.call('HDEL', K.held, held[i])
      freed[#freed + 1] = held[i]
    end
  end
  return freed
end

-- Seldom.
local function let_go(id, r)
  for resource in string.gmatch(r.resources, '[^ ]+') do
    if redis.call('HGET', K.held, resource) == id then redis.call('HDEL', K.held, resource) end
  end
end

-- End a lease that the caller takes out of `running`: the token is void, and so is its hold on
-- resources. A step's heartbeat is obsolete once it has ended.
local function release(id, r)
  if r.has_beat == '1' then
    redis.call('HDEL', K.work, id .. ' beat')
    r.has_beat = '0'
  end
  if r.blame ~= '-' then
    local b = blame_of(r)
    b.alone = '0'
    set_blame(r, b)
  end
  r.token = '-'
  r.last = '-'
  r.holder = r.worker
  r.worker = '-'
  if r.resources ~= '' then let_go(id, r) end
end
