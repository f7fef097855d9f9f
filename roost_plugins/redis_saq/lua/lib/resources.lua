-- Shared by the scripts that give resources to work or take them back.
-- USES: record trail newer line release
--
-- A lease holds all resources of its work item, in `held`, or none. A ready item with something in
-- its way at a claim is `blocked`, and from then on it *stands in line* for each of its resources,
-- in the order of places: higher priority first, then first come. It stands there until it is
-- leased, is buried or leaves the line, even while it is ready again. That is its reservation:
-- later items wait behind it, even for a resource that nothing holds.
--
-- A resource is in an item's way if it is held, or if an earlier item stands in line for it. An
-- item with something in its way is blocked; as soon as that is gone, it is made ready. That can
-- only happen when a lease ends or an item leaves a line, and then only the first in line for those
-- resources can have become free to run. So only that one is checked: one check per resource.
--
-- Nothing waits for ever. A holder of resources runs and waits for none. Of all items in line, the
-- one with the first place has nothing before it in any line, so only holders are in its way; they
-- end, it runs, and the next is first. Places are one order for all lines, so there is no cycle.
--
-- `lines` is a sorted set by name. An item is stored in it as
--   "resource <resource> <place> <engine> <id>"  for each of its resources
--   "engine <engine> <place> <id>"               to be found if no worker offers its engine any more
--   "deadline <ms, 16 digits> <id>"              to be found when that passes, if it has a deadline
-- A member counts only if its record agrees. `blocked` has " engine place id": the space in front
-- is there because no resource begins with one. What an earlier Roost put there begins with the
-- name of a resource.

-- Seldom.
local function words(text)
  local found = {}
  for word in string.gmatch(text, '[^ ]+') do found[#found + 1] = word end
  return found
end

-- Seldom.
-- All members of `lines` by which an item stands in line.
local function standings(id, r)
  local members = { 'engine ' .. in_line(id, r) }
  local place = place_of(r)
  for _, name in ipairs(words(r.resources)) do
    members[#members + 1] = 'resource ' .. name .. ' ' .. place .. ' ' .. r.engine .. ' ' .. id
  end
  if r.deadline ~= '0' then members[#members + 1] = string.format('deadline %016d %s', r.deadline, id) end
  return members
end

-- Seldom.
-- Return whether it stood in line.
local function leave_lines(id, r)
  return r.resources ~= '' and redis.call('ZREM', K.lines, unpack(standings(id, r))) > 0
end

-- Seldom.
-- Take what does not belong in `blocked` out of it. What is broken goes to the dead letters (it was not leased,
-- so it held nothing), and what is newer is set aside.
local function strike_blocked(member, id, instead, layout)
  if redis.call('ZREM', K.blocked, member) == 0 then return end
  if instead == 'newer' then
    set_aside(layout, 'blocked', '0', member)
  elseif instead then
    bury_broken(id)
  end
end

-- Seldom.
local function names_resource(r, name)
  return string.find(' ' .. r.resources .. ' ', ' ' .. name .. ' ', 1, true) ~= nil
end

-- Seldom.
-- The id and the record of the first item in line for a resource; nil if there is none, or none before the place
-- `before`. Members that no record agrees with are dropped.
local function first_of(name, before)
  for _ = 1, 100 do
    local member = redis.call('ZRANGEBYLEX', K.lines, '[resource ' .. name .. ' ', '(resource ' .. name .. '!',
      'LIMIT', '0', '1')[1]
    if not member then return nil end
    local place, engine, id = string.match(member, '^resource [^ ]+ (%d+) ([^ ]+) (.+)$')
    -- Digits only: any other text would be compared by the rules of the server's locale.
    if before and place and place >= before then return nil end
    local r, instead, layout = load(id or '', parse)
    if r and (r.state == 'blocked' or r.state == 'queued') and r.engine == engine and place_of(r) == place
      and names_resource(r, name) then
      return id, r
    end
    redis.call('ZREM', K.lines, member)
    if id then strike_blocked(' ' .. engine .. ' ' .. place .. ' ' .. id, id, instead, layout) end
  end
end

-- Seldom.
-- Whether the holder in `held` has the resource: it runs, and its record names it. If not, the hold is stale and
-- removed. What a newer Roost wrote is trusted.
local function is_held(name, holder)
  local r, instead = load(holder, parse)
  if instead == 'newer' then return true end
  if not r or r.state ~= 'running' or not names_resource(r, name) then
    redis.call('HDEL', K.held, name)
    return false
  end
  -- A lease whose entry is lost would never run out. Its holder, if it lives, renews it before.
  redis.call('ZADD', K.running, 'NX', whole(now + 60000), holder)
  return true
end

-- Seldom.
-- The first resource, by name, that is in the way of an item: a held one, else one that is reserved. Or nil.
local function in_the_way(r)
  local names = words(r.resources)
  if #names == 0 then return nil end
  for i, holder in ipairs(redis.call('HMGET', K.held, unpack(names))) do
    if holder and is_held(names[i], holder) then return names[i] end
  end
  local own = place_of(r)
  for _, name in ipairs(names) do
    if first_of(name, own) then return name end
  end
end

-- Seldom.
-- Take all of them for a lease. All are free: nothing is in the way.
local function hold(id, r)
  leave_lines(id, r)
  local pairs_of = {}
  for _, name in ipairs(words(r.resources)) do
    pairs_of[#pairs_of + 1] = name
    pairs_of[#pairs_of + 1] = id
  end
  call_for('HSET', K.held, pairs_of)
end

-- Seldom.
local function block(id, r, name)
  r.state = 'blocked'
  r.blocked_on = name
  r.updated = now
  local members = {}
  for _, member in ipairs(standings(id, r)) do
    members[#members + 1] = '0'
    members[#members + 1] = member
  end
  redis.call('ZADD', K.lines, unpack(members))
  redis.call('ZADD', K.blocked, '0', ' ' .. in_line(id, r))
  noted('blocked', id, r, '{"resource":' .. quoted(name) .. '}')
  save(id, r)
end

-- Seldom.
local function unblock(id, r)
  redis.call('ZREM', K.blocked, ' ' .. in_line(id, r))
  r.blocked_on = '-'
  r.updated = now
  make_ready(id, r)
  noted('unblocked', id, r, '{}')
  save(id, r)
  wake(r.engine)
end

-- Seldom.
-- Take something out of `blocked` that is in no line, so that a claim checks it again.
local function look_anew(member)
  local id = string.match(member, '([^ ]+)$') or ''
  local r, instead, layout = load(id, parse)
  strike_blocked(member, id, instead, layout)
  if r and r.state == 'blocked' then unblock(id, r) end
end

-- Seldom.
-- Resources may have become free, or the first in line for them has left: make ready what can now run.
local function look_at(names)
  for _, name in ipairs(names) do
    local id, r = first_of(name)
    if r and r.state == 'blocked' and not in_the_way(r) then unblock(id, r) end
  end
end

-- Seldom.
-- An item that may have resources has ended its lease, or left the lines.
local function pass_on(r)
  look_at(words(r.resources))
end

-- Seldom.
-- Bury a broken one, and free what it held.
local function quarantine(id)
  look_at(bury_broken(id))
end
