-- Take leases: promote what is due, recover expired ones, take the first that are ready.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer seq turn events idle beats claims solo offers seen waiting paused done cancelled halted index
-- USES: record trail newest newer blame halts line release acts resources reservations settle holder giveback claiming
-- ARGV: worker ttl-ms limit "engine engine ..." was-idle(0|1) unable|never|may|always slot claim-id
--       "slot:claim-id ..." token...
--   never, may, always: whether the leased work is all that the worker runs: no; yes, if it is suspected
--     work, which may come together; yes, whatever it is (blame.lua). unable: no, and it cannot drain
--   slot, claim-id: what the claim is remembered under, in case its answer is lost; then those
--     whose answers the worker never got
-- Result: {next-wake-ms|-1, {dead id...}, {claim...}, left, drain(0|1)}: next-wake-ms is 0 if more is ready; left
--   counts the items found that a newer Roost wrote; drain asks the worker to finish its work, because
--   suspected work waits for a worker that runs nothing else; a claim is
--   {id "token <what a claim has according to the table of fields> expires" item snapshot|{base change...}|{}|nil}: with the
--   changes that follow it, or {} if this worker stored the newest (lib/history.lua)
--
-- A batch is read and written with one command for all of it: a command costs more than its work. A
-- batch is bounded, so that no claim delays others' calls. An index may be damaged and hold anything:
-- an entry counts only if its record agrees, and otherwise moves to where the record says. An index of
-- the wrong type is skipped.

local BATCH = 100
-- How many items left for a newer worker are set aside in one claim, at most.
local MOST_LEFT = 1000

local worker, ttl, limit, all_engines = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
-- The engines whose work it may take, because nobody holds them.
local engines = all_engines
if redis.call('EXISTS', K.halted) == 1 then engines = unhalted(engines) end
local was_idle, mode, slot, claim_id = ARGV[5] == '1', ARGV[6], ARGV[7], ARGV[8]
local FIRST_TOKEN = 10
local dead, claims, left = {}, {}, 0
if ARGV[9] ~= '' then take_back(worker, ARGV[9]) end

-- Return the record of an index's member if it says that it belongs there; if not, move it to where it does.
-- What is broken goes to the dead letters; what is newer is set aside.
local function belonging(id, raw, place, state, score, member)
  if not raw then return nil end
  local r = parse(raw)
  if r then
    if r.state == state then return r end
    settle(id, r, ttl)
    return nil
  end
  local layout = newer_layout(raw)
  if layout then
    set_aside(layout, place, score, member)
    left = left + 1
  else
    quarantine(id)
  end
end

-- Before anything is written: a claim cannot work without this index.
local has_expired = redis.call('ZCOUNT', K.running, '-inf', now) > 0

-- Counting costs less than reading the first; an index of the wrong type is looked at as well.
if has_expired or redis.pcall('ZCOUNT', K.sleeping, '-inf', now) ~= 0
  or redis.pcall('ZCOUNT', K.retry_wait, '-inf', now) ~= 0 then
  -- Up to `count` of those due by now in an index by time, soonest first: {id, at, r}. They stay there until
  -- `taken`, once they are elsewhere; what does not belong there is removed at once.
  local function due_of(place, key, state, count)
    local due, looked = {}, 0
    while #due < count and looked < count + MOST_LEFT do
      local found = redis.pcall('ZRANGEBYSCORE', key, '-inf', now, 'WITHSCORES', 'LIMIT', #due,
        math.min(count - #due, BATCH))
      if #found == 0 then break end
      looked = looked + #found / 2
      local ids, foreign = {}, {}
      for i = 1, #found, 2 do ids[#ids + 1] = found[i] end
      for i, raw in ipairs(redis.call('HMGET', K.work, unpack(ids))) do
        local r = belonging(ids[i], raw, place, state, found[2 * i], ids[i])
        if r then
          due[#due + 1] = { id = ids[i], at = tonumber(found[2 * i]), r = r }
        else
          foreign[#foreign + 1] = ids[i]
        end
      end
      call_for('ZREM', key, foreign)
    end
    return due
  end

  local function taken(key, due)
    local ids = {}
    for i, one in ipairs(due) do ids[i] = one.id end
    call_for('ZREM', key, ids)
  end

  -- An older Roost gave it back although people wanted something else. Return whether it goes elsewhere.
  local function is_wished_away(id, r, due)
    if not obeyed(id, r, taken_wish(r), due) then return false end
    if r.state == 'failed' then dead[#dead + 1] = id end
    save(id, r)
    return true
  end

  -- Work waits until it is certain whether its worker died while running nothing else, if one more such death
  -- buries it. Bury it if so, and return whether it was.
  local function dies_of_doubt(id, r)
    if r.blame == '-' then return false end
    local b = blame_of(r)
    if not is_in_doubt(r, b) then return false end
    judge(b)
    set_blame(r, b)
    if b.deaths < most_deaths(r) then return false end
    dead_letter(id, r, '{"schema":1,"kind":"recoveries","message":"its worker died ' .. whole(b.deaths)
      .. ' times over this step, with nothing else to run"}')
    dead[#dead + 1] = id
    pass_on(r)
    return true
  end

  -- 1. Work that has become due, soonest first.
  local due = due_of('sleeping', K.sleeping, 'sleeping', BATCH)
  local retries = due_of('retry_wait', K.retry_wait, 'retry_wait', BATCH)
  if #due + #retries > 0 then
    local sleepers = { unpack(due) }
    for _, one in ipairs(retries) do due[#due + 1] = one end
    table.sort(due, function(a, b)
      if a.at ~= b.at then return a.at < b.at end
      return a.id < b.id
    end)
    local seq = sound_seq(redis.pcall('INCRBY', K.seq, #due), #due) - #due
    local members, records = {}, {}
    for i, one in ipairs(due) do
      local id, r = one.id, one.r
      if not (r.wish ~= '-' and is_wished_away(id, r, whole(one.at))) and not dies_of_doubt(id, r) then
        r.seq = string.format('%d', seq + i)
        r.state = 'queued'
        members[#members + 1] = '0'
        members[#members + 1] = ready_member(id, r)
        records[#records + 1] = id
        records[#records + 1] = text_of(r)
      end
    end
    call_for('ZADD', K.ready, members)
    call_for('HSET', K.work, records)
    taken(K.sleeping, sleepers)
    taken(K.retry_wait, retries)
  end

  -- 2. Leases that their holders have not renewed. The work returns to its old places, which are ahead of
  -- other work: no more than this claim takes, and down to half of that if other work waits, so that a
  -- mass of dead workers' leases delays nobody.
  if has_expired then
    local waiting = 0
    for engine in string.gmatch(engines, '[^ ]+') do waiting = waiting + #ready_of(engine, limit) end
    local half = math.floor((limit + (tonumber(redis.pcall('INCR', K.turn)) or now) % 2) / 2)
    local room = math.min(math.max(half, limit - waiting), BATCH)
    local expired = due_of('running', K.running, 'running', room)
    for _, one in ipairs(expired) do
      local id, r = one.id, one.r
      if r.last ~= '-' then remember(id, r, string.match(r.token, '^!?(.*)$'), r.last, running_answer(r.version, r.committed)) end
      local holder, wish = quoted(r.worker), taken_wish(r)
      local b = note_lost(r, worker)
      release(id, r)
      r.updated = now
      if is_final(wish) then
        obeyed(id, r, wish, '-')
        if r.state == 'failed' then dead[#dead + 1] = id end
      else
        -- A worker that was only cut off, or stopped, has this long to come back.
        local due = is_in_doubt(r, b) and whole(now + math.max(2 * ttl, 2000))
        r.state = due and 'retry_wait' or 'queued'
        noted('recovered', id, r, '{"worker_id":' .. holder .. '}')
        if not obeyed(id, r, wish, due or '-') then
          if due then redis.call('ZADD', K.retry_wait, due, id) else make_ready(id, r) end
        end
      end
      note_lease(id, r)
      save(id, r)
      pass_on(r)
    end
    taken(K.running, expired)
  end
end

-- 3. The first in line: of suspected work, or of the rest.
local has_one_engine = engines ~= '' and not string.find(engines, ' ', 1, true)
local function front(count, are_suspected)
  -- Those of a single engine come in order.
  if has_one_engine and not are_suspected then return ready_of(engines, count) end
  local line, places = {}, {}
  -- Of suspected work, what has done the least harm comes first.
  local pattern = are_suspected and '^[^ ]+ ([^ ]+ [^ ]+) .' or '^[^ ]+ ([^ ]+) .'
  for engine in string.gmatch(engines, '[^ ]+') do
    for _, member in ipairs(are_suspected and suspected_of(engine, count) or ready_of(engine, count)) do
      line[#line + 1] = member
      places[member] = string.match(member, pattern) or ''
    end
  end
  if not has_one_engine then table.sort(line, function(a, b) return places[a] < places[b] end) end
  return line
end

-- The ids of the first `count` in a line.
local function ids_of(line, count, are_suspected)
  local pattern, ids = are_suspected and '^[^ ]+ [^ ]+ [^ ]+ (.+)$' or '^[^ ]+ [^ ]+ (.+)$', {}
  for i = 1, math.min(#line, count) do ids[i] = string.match(line[i], pattern) or '' end
  return ids
end

-- The place in line of the last one leased, and what is remembered of all of them, in case this answer
-- is lost.
local last_seq, leased = nil, claim_id
-- What a round writes and reads for the work that it leases.
local leases, records, bytes
-- By their places among the claims: the records of those that follow from a base.
local based
local expires, worker_json = string.format('%d', now + ttl), quoted(worker)
local has_blocked = false
-- How many suspected items are to come together, or 0.
local together = 0

-- Take one, and return whether it was taken. If not, the line has to be read again: it may now hold too few for
-- the engine that has lost one, and other work may have become ready.
local function take(id, r, member)
  if not r then return false end
  if ready_member(id, r) ~= member then
    settle(id, r, ttl)
    return false
  end
  if r.wish ~= '-' and obeyed(id, r, taken_wish(r), '-') then
    if r.state == 'failed' then dead[#dead + 1] = id end
    save(id, r)
    if leave_lines(id, r) then pass_on(r) end
    return false
  end
  if r.deadline ~= '0' and is_past(r.deadline) then
    dead_letter(id, r, '{"schema":1,"kind":"deadline","message":"its deadline has passed"}')
    dead[#dead + 1] = id
    if leave_lines(id, r) then pass_on(r) end
    return false
  end
  local busy = r.resources ~= '' and in_the_way(r)
  if busy then
    block(id, r, busy)
    has_blocked = true
    return false
  end
  r.state = 'running'
  r.token = ARGV[FIRST_TOKEN + #claims]
  r.worker = worker
  r.since = now
  r.base = r.version
  if mode == 'always' or (together == 1 and is_suspected(r)) then
    local b = blame_of(r)
    b.alone = mode == 'always' and '2' or '1'
    set_blame(r, b)
  end
  last_seq = r.seq
  r.fence = string.format('%d', r.fence + 1)
  r.updated = now
  if r.started == '0' then r.started = now end
  leases[#leases + 1] = expires
  leases[#leases + 1] = id
  if r.resources ~= '' then
    -- At once: whatever finds it in the way, even in this claim, trusts the hold only if the record agrees.
    save(id, r)
    hold(id, r)
  else
    records[#records + 1] = id
    records[#records + 1] = text_of(r)
  end
  bytes[#bytes + 1] = id .. ' item'
  -- A base may be large, and is read only if it has to be sent.
  bytes[#bytes + 1] = r.anchor == '0' and id .. ' snapshot' or id
  event('claimed', id, r, '{"worker_id":' .. worker_json .. ',"fence":' .. r.fence .. '}')
  -- The bytes follow: their places are made with the rest, because a table that grows is reallocated.
  claims[#claims + 1] = { id, r.token .. ' ' .. F.claimed_of_r, false, false }
  if r.anchor ~= '0' then
    based = based or {}
    based[#claims] = r
  end
  leased = leased .. ' ' .. id .. ' ' .. r.token
  return true
end

-- Engines for which more is ready than was taken.
local more = {}

-- Take up to `most`; return whether nothing is left in line.
local function fill(most, are_suspected)
  local inspected, line_empty = 0, false
  while #claims < most and inspected < most + BATCH + left and left <= MOST_LEFT and not line_empty do
    -- One more than can be taken, to know which engines have something left.
    local line = front(math.min(most - #claims, BATCH) + 1, are_suspected)
    line_empty = #line == 0
    leases, records, bytes, based = {}, {}, {}, nil
    local first, candidates = #claims, ids_of(line, math.min(most - #claims, BATCH), are_suspected)
    local found = #candidates > 0 and redis.call('HMGET', K.work, unpack(candidates)) or {}
    -- How many left the line, because they were taken or belong elsewhere.
    local gone = 0
    for i = 1, #candidates do
      if inspected >= most + BATCH + left then break end
      inspected = inspected + 1
      gone = i
      local id, member = candidates[i], line[i]
      local r = belonging(id, found[i], 'ready', 'queued', '0', member)
      if r and are_suspected and company_of(r, limit) < together then
        -- Others have left the line meanwhile, and this one may not run with as many.
        gone, inspected = i - 1, math.huge
        break
      end
      if not take(id, r, member) then break end
    end
    more = {}
    for i = gone + 1, #line do more[string.match(line[i], '^[^ !]+') or ''] = true end
    if gone > 0 then redis.call('ZREM', K.ready, unpack(line, 1, gone)) end
    if #claims > first then
      redis.call('ZADD', K.running, unpack(leases))
      if #records > 0 then redis.call('HSET', K.work, unpack(records)) end
      local stored = redis.call('HMGET', K.work, unpack(bytes))
      for i = first + 1, #claims do
        local at = 2 * (i - first)
        claims[i][3], claims[i][4] = stored[at - 1], stored[at]
      end
      if based then
        for i, r in pairs(based) do claims[i][4] = newest_of(claims[i][1], r.version, r.anchor, worker) end
      end
    end
  end
  return line_empty
end

local line_empty = false
if mode == 'may' then
  -- How many suspected items may come together: as many from the front of their line as each of them may
  -- be one of.
  local most = math.min(limit, BATCH)
  local ids = ids_of(front(most, true), most, true)
  local least = limit
  together = math.min(#ids, 1)
  for i, raw in ipairs(#ids > 1 and redis.call('HMGET', K.work, unpack(ids)) or {}) do
    local r = raw and parse(raw)
    least = math.min(least, r and is_suspected(r) and company_of(r, limit) or 1)
    if least < i then break end
    together = i
  end
  if together > 0 then fill(together, true) end
end
local is_solo = #claims > 0
if is_solo then
  for engine in string.gmatch(engines, '[^ ]+') do more[engine] = is_any_ready(engine) or nil end
else
  line_empty = fill(limit, false)
  if mode == 'always' and #claims == 0 then line_empty = fill(limit, true) end
end

-- What the worker would not know about if this answer were lost. The work is leased: from here on nothing may fail.
if #claims > 0 then redis.pcall('HSET', K.claims, worker .. ' ' .. slot, leased) end

-- Other work is to wait for what this worker will run, so its engines have to be on record.
if has_blocked then
  offer(worker, words(all_engines))
  redis.call('ZADD', K.seen, 'NX', now, worker)
end

-- Now and then even while there is always enough to do: about once per sixteen places in line. By the golden ratio:
-- the places of what one worker takes have a pattern, such as every second one, and this has none.
local is_turn = #claims >= 16 or (#claims > 0 and last_seq * 0.6180339887498949 % 1 < 0.0625)

if #claims > 0 then trim_events() end
if is_turn then trim_bytes() end

local drain = 0
if #claims < limit or #claims == 0 or is_turn then
  local is_bent = redis.pcall('ZCARD', K.ready) ~= 0 and straighten(K.ready, BATCH) > 0
  if put_back(BATCH) > 0 or is_bent then line_empty = false end
  if mode == 'never' and is_to_drain(worker, engines, ttl) then drain = 1 end
end
-- A worker that takes nothing more for now is not notified: others are.
local is_deaf = is_solo or drain == 1

-- 4. When to claim again, and whether to be notified sooner.
local next_wake = -1
if is_solo then
  next_wake = 0
elseif #claims < limit then
  if line_empty then
    if not is_deaf then stand_by(worker, all_engines) end
    next_wake = until_next()
    -- 0 means that more is ready: what this claim did not promote or recover, because there was too much, is not.
    if next_wake == 0 then next_wake = 1 end
  else
    next_wake = 0
  end
end
if was_idle and (is_deaf or #claims == limit) then
  for engine in string.gmatch(all_engines, '[^ ]+') do redis.pcall('ZREM', K.idle, engine .. ' ' .. worker) end
end
-- A worker without a free lane leaves it to idle ones.
if limit == 0 then
  for engine in string.gmatch(engines, '[^ ]+') do more[engine] = is_any_ready(engine) or nil end
  line_empty = false
end
-- More is ready than this worker takes now: let the idle ones share it.
if not line_empty then
  for engine in pairs(more) do
    next_wake = 0
    wake(engine)
  end
end
return { next_wake, dead, claims, left, drain }
