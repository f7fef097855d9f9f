-- A step of the repair: check some work items, and put each where its record says that it belongs.
-- KEYS: work key ready sleeping retry_wait running blocked held lines failed newer events idle waiting paused done cancelled created halted index
-- USES: record index line resources settle newest inspect
-- ARGV: dry(0|1) ttl-ms cursor count
-- Result: {cursor, {finding...}, looked-at, greatest order of arrival, {id, idempotency key...}}: the last are of work whose
--   key is not on record

local findings = {}
local found = finder(findings)
local ttl = tonumber(ARGV[2])
-- No delay is longer than ten years, and no lease longer than a month.
local FAR = { sleeping = 316224000000, retry_wait = 316224000000, running = math.max(2 * ttl, 2592000000) }
local BY_ID = places_by_id()

local looked, greatest, keyless = 0, 0, {}

-- The score that an entry should have, if its own is out of bounds.
local function mended_score(r, score)
  if FAR[r.state] then
    if tonumber(score) < 0 or tonumber(score) > now + FAR[r.state] then return score_for(r, ttl) end
  elseif r.state ~= 'waiting' and tonumber(score) ~= tonumber(r.updated) then
    return r.updated
  end
end

-- Take it out of all sets by id except one.
local function only_in(id, state)
  local score
  for name, key in pairs(BY_ID) do
    local here = redis.call('ZSCORE', key, id)
    if name == state then
      score = here
    elseif here and found('surplus', name, id) then
      redis.call('ZREM', key, id)
    end
  end
  return score
end

local function look_at_line(id, r)
  local key, member = K.ready, ready_member(id, r)
  if r.state == 'blocked' then key, member = K.blocked, ' ' .. in_line(id, r) end
  local score = redis.call('ZSCORE', key, member)
  if score then
    if tonumber(score) ~= 0 and found('score', place_name(r.state), id) then redis.call('ZADD', key, '0', member) end
  elseif r.state == 'blocked' or not redis.call('ZSCORE', K.newer, 'ready 0 ' .. member) then
    if found('missing', place_name(r.state), id) then settle(id, r, ttl) end
  end
end

-- A blocked item is found by its lines; once ready, a claim checks it again.
local function look_at_lines(id, r)
  for _, member in ipairs(standings(id, r)) do
    if not redis.call('ZSCORE', K.lines, member) then
      if found('missing', 'lines', id) then unblock(id, r) end
      return
    end
  end
end

local function look_at_created(id, created)
  local score = redis.call('ZSCORE', K.created, id)
  if not score then
    if found('missing', 'created', id) then redis.call('ZADD', K.created, created, id) end
  elseif tonumber(score) ~= tonumber(created) and found('score', 'created', id) then
    redis.call('ZADD', K.created, created, id)
  end
end

local function look_at_key(id, r)
  if r.key == '' then return end
  local known = string.match(redis.call('HGET', K.key, r.key) or '', '^([^ ]+) [^ ]+$')
  if known == id then return end
  local other = known and load(known, parse)
  if other and other.key == r.key then
    found('twice', 'key', id)
  else
    keyless[#keyless + 1] = id
    keyless[#keyless + 1] = r.key
  end
end

local function look_at_holds(id, r)
  for resource in string.gmatch(r.resources, '[^ ]+') do
    local holder = redis.call('HGET', K.held, resource)
    local other = holder and holder ~= id and load(holder, parse)
    if other and other.state == 'running' and names_resource(other, resource) then
      found('twice', 'held', id)
    elseif holder ~= id and found('missing', 'held', id) then
      redis.call('HSET', K.held, resource, id)
    end
  end
end

-- What people find it by.
local function look_at_index(id, engine, r)
  local members = index_members(id, engine, labels_of(r))
  members[#members + 1] = member_of_error(id, r)
  for _, member in ipairs(members) do
    if not redis.call('ZSCORE', K.index, member) and found('missing', 'index', id) then
      redis.call('ZADD', K.index, '0', member)
    end
  end
end

local function look_at_broken(id)
  found('unreadable', 'work', id)
  if not only_in(id, 'failed') and found('missing', 'failed', id) then quarantine(id) end
  if not redis.call('ZSCORE', K.created, id) and found('missing', 'created', id) then
    redis.call('ZADD', K.created, now, id)
  end
end

-- By id, what its versions have to belong to: 'gone', its record, or false if that cannot be told.
local owners = {}

local function owner_of(id)
  if owners[id] == nil then
    local found = redis.call('HMGET', K.work, id, id .. ' item')
    if found[1] then
      owners[id] = parse(found[1]) or false
    else
      -- What has bytes may get its record back, by a person.
      owners[id] = not found[2] and 'gone'
    end
  end
  return owners[id]
end

-- An older Roost does not know of versions, forks and answers, and leaves them when it purges work. Those of a life
-- before, and those that nobody would look for, are in nobody's bounds. What the newest follows from stays in any case.
local function look_at_left(field)
  local id, version = string.match(field, '^(%S+) v(%d+)$')
  if not id then id = string.match(field, '^(%S+) forks$') or string.match(field, '^(%S+) a[012]$') end
  local r = id and owner_of(id)
  if not r then return end
  local number = tonumber(version or '1')
  local is_right = r ~= 'gone' and (not version or number <= r.version + 0
    and (number >= first_kept(r.oldest) + 0 or r.anchor ~= '0' and number > r.anchor + 0))
  if not is_right and found('past', 'work', id) then redis.call('HDEL', K.work, field) end
end

local cursor, fields = step_of('HSCAN', K.work, ARGV[3], ARGV[4])
for _, id in ipairs(fields) do
  local raw = not string.find(id, ' ', 1, true) and redis.call('HGET', K.work, id)
  local r = raw and parse(raw)
  if r then
    looked = looked + 1
    greatest = math.max(greatest, tonumber(r.seq))
    local score = only_in(id, r.state)
    if not BY_ID[r.state] then
      look_at_line(id, r)
    elseif not score then
      if found('missing', r.state, id) then settle(id, r, ttl) end
    else
      local mended = mended_score(r, score)
      if mended and found('score', r.state, id) then redis.call('ZADD', BY_ID[r.state], mended, id) end
    end
    if r.state == 'running' then look_at_holds(id, r) end
    if r.state == 'blocked' then look_at_lines(id, r) end
    look_at_created(id, r.created)
    look_at_key(id, r)
    look_at_index(id, r.engine, r)
  elseif raw and not newer_layout(raw) then
    looked = looked + 1
    look_at_broken(id)
    look_at_index(id, engine_of_broken(id, raw), { state = 'failed', tail = '' })
  elseif not raw and string.find(id, ' item$') and redis.call('HEXISTS', K.work, string.sub(id, 1, -6)) == 0 then
    found('orphan', 'work', id)
  elseif not raw then
    look_at_left(id)
  end
end
return { cursor, findings, looked, greatest, keyless }
