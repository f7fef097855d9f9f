-- Read, at one moment, what decides when a work item runs. However much there is, this looks at a bounded part of it.
-- KEYS: work ready sleeping retry_wait running held lines newer offers workers seen halted rates
-- USES: record blame show line resources rates reservations survey
-- ARGV: id
-- Result: nil | {row, now, layout, ahead, {resource, holder|'', id, engine, worker|'', expires|'', ahead}|nil,
--   {{info, seen}...}, how-many, others, halt|nil, {info, seen}|nil, {bucket...}, {bucket...}, size}
--   row: as `read` returns it, without the snapshot
--   layout: which a worker has to know that takes it, or 0; for what was set aside in `newer`
--   ahead: how many ready work items of its engine go first, or -1
--   resource: the first that is in its way, whether it is held (1|0) or reserved, by which work item, and how many
--     stand in its line before it
--   how-many: live workers that offer its engine, of whom twenty are returned; others: that offer only other ones
--   the last are the holder of its lease, and 60 buckets each of its engine and of its label, the newest first
--     (lib/rates.lua)
--   size: of its snapshot, which the row is without, in bytes; of one that follows from a base, that of the base

local id = ARGV[1]
local MOST_WORKERS = 100
local SHOWN_WORKERS = 20
local found = redis.call('HMGET', K.work, id, id .. ' item', id .. ' error', id .. ' beat', id .. ' forks')
if not found[1] then return nil end
local row = shown(id, found)
row[8], row[10] = found[4], found[5]
local r = parse(found[1])
local engine = engine_of(found[1]) or ''

local function set_aside_for()
  if not r or r.state ~= 'queued' then return 0 end
  return tonumber(redis.call('ZSCORE', K.newer, 'ready 0 ' .. ready_member(id, r)) or 0)
end

local function ahead_in_line()
  if not r or r.state ~= 'queued' then return -1 end
  local member = ready_member(id, r)
  if not redis.call('ZSCORE', K.ready, member) then return -1 end
  local from = is_suspected(r) and engine .. '! ' or engine .. ' '
  return redis.call('ZLEXCOUNT', K.ready, '[' .. from, '(' .. member)
end

-- What is in the way of its resources. Unlike a claim, this changes nothing.
local function in_its_way()
  if not r or r.resources == '' or not (r.state == 'queued' or r.state == 'blocked') then return false end
  local names, place = words(r.resources), place_of(r)
  local function told(name, how, other)
    local raw = redis.call('HGET', K.work, other)
    local o = raw and parse(raw)
    local before = redis.call('ZLEXCOUNT', K.lines, '[resource ' .. name .. ' ', '(resource ' .. name .. ' ' .. place)
    return { name, how, other, raw and engine_of(raw) or '', o and o.worker or '',
      redis.call('ZSCORE', K.running, other) or '', before }
  end
  for i, holder in ipairs(redis.call('HMGET', K.held, unpack(names))) do
    if holder and holder ~= id then
      local raw = redis.call('HGET', K.work, holder)
      local o = raw and parse(raw)
      if o and o.state == 'running' and names_resource(o, names[i]) or raw and newer_layout(raw) then
        return told(names[i], 1, holder)
      end
    end
  end
  for _, name in ipairs(names) do
    local before = redis.call('ZRANGEBYLEX', K.lines, '[resource ' .. name .. ' ', '(resource ' .. name .. ' ' .. place,
      'LIMIT', '0', '1')[1]
    local other = before and string.match(before, '([^ ]+)$')
    if other and other ~= id then return told(name, 0, other) end
  end
  return false
end

local function sighting(worker)
  return { redis.call('HGET', K.workers, worker) or '', redis.call('ZSCORE', K.seen, worker) or '0' }
end

local function who_offers()
  local live = {}
  local count = 0
  local prefix = 'engine ' .. engine
  for _, member in ipairs(redis.call('ZRANGEBYLEX', K.offers, '[' .. prefix .. ' ', '(' .. prefix .. '!',
    'LIMIT', '0', MOST_WORKERS)) do
    local worker = string.sub(member, #prefix + 2)
    if is_live(worker) then
      count = count + 1
      if count <= SHOWN_WORKERS then live[count] = sighting(worker) end
    end
  end
  return { live, count }
end

local function how_many_others()
  local count = 0
  for _, worker in ipairs(redis.call('ZREVRANGE', K.seen, '0', whole(MOST_WORKERS - 1))) do
    -- One that has left is not in the register any more.
    local is_other = redis.call('HEXISTS', K.workers, worker) == 1
      and not redis.call('ZSCORE', K.offers, 'engine ' .. engine .. ' ' .. worker)
    if is_other and is_live(worker) then count = count + 1 end
  end
  return count
end

local function buckets(label)
  local fields, minute = {}, minute_of_now()
  for i = 0, RATES_MINUTES - 1 do
    fields[#fields + 1] = whole(minute - i) .. ' ' .. engine .. (label and ' ' .. label or '')
  end
  return redis.call('HMGET', K.rates, unpack(fields))
end

local offering = tried(who_offers, { {}, 0 })
local holder, usual = false, {}
if r then usual = tried(function() return buckets(rates_label(r.step)) end, {}) end
if r and r.state == 'running' and r.worker ~= '-' then holder = tried(function() return sighting(r.worker) end, false) end
return {
  row, now, tried(set_aside_for, 0), tried(ahead_in_line, -1), tried(in_its_way, false), offering[1], offering[2],
  tried(how_many_others, 0), tried(function() return redis.call('HGET', K.halted, engine) end, false), holder,
  tried(buckets, {}), usual, redis.call('HSTRLEN', K.work, id .. ' snapshot'),
}
