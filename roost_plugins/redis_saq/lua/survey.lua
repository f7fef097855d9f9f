-- Read how a whole queue stands: how much there is, what waits for workers and for times, what was done in the hour.
-- However much there is, this looks at a bounded part of it.
-- KEYS: work ready sleeping retry_wait running blocked waiting paused done failed cancelled newer offers workers seen halted rates
-- USES: record show line rates reservations survey
-- ARGV: most-engines
-- Result: {now, {size of each state, in the order of KEYS...}, {engine, halt...}, {line...}, ready-of-others,
--   {{count, overdue, first-due|'', next-due|''} of sleeping, of retry_wait}, {layout, how-many...},
--   {steps attempts dead...}}
--   line: {engine, ready, suspected, blocked, live workers that offer it, row|nil, {bucket...}}; the buckets of the
--     last minutes are as in lib/rates.lua, the newest first; the row is the first in line, without its item
--   layout: which a worker has to know, and how much was set aside for it
--   steps attempts dead: of each of the last 60 minutes, the newest first

local MOST = tonumber(ARGV[1])
local MOST_WORKERS = 100
local PACE_MINUTES = 10
local minute = minute_of_now()

local function sizes()
  local found = {}
  for i, place in ipairs({ K.ready, K.sleeping, K.retry_wait, K.running, K.blocked, K.waiting, K.paused, K.done,
    K.failed, K.cancelled }) do
    found[i] = tried(function() return redis.call('ZCARD', place) end, 0)
  end
  return found
end

-- Engines, each once, in the order in which they were found.
local engines, is_known = {}, {}
local function know(engine)
  if is_known[engine] then return end
  is_known[engine] = true
  engines[#engines + 1] = engine
end

-- Those of a part of a set ordered by name, in which `before` stands in front of each; whether these are all.
local function know_those_in(key, from, to, pattern, before, behind)
  return tried(function()
    return each_group(key, from, to, pattern, MOST, function(engine)
      know(engine)
      return '[' .. before .. engine .. behind
    end)
  end, true)
end

local is_live_worker = {}
local function how_many_offer(engine)
  local count, prefix = 0, 'engine ' .. engine
  for _, member in ipairs(redis.call('ZRANGEBYLEX', K.offers, '[' .. prefix .. ' ', '(' .. prefix .. '!',
    'LIMIT', '0', MOST_WORKERS)) do
    local worker = string.sub(member, #prefix + 2)
    if is_live_worker[worker] == nil then is_live_worker[worker] = is_live(worker) end
    if is_live_worker[worker] then count = count + 1 end
  end
  return count
end

local function first_in_line(engine)
  local member = ready_of(engine, '1')[1]
  local id = member and string.match(member, '([^ ]*)$')
  local raw = id and redis.call('HGET', K.work, id)
  local r = raw and parse(raw)
  if not r or r.resources ~= '' then return false end
  return shown(id, { raw, false, false }, true)
end

local function buckets(engine)
  local fields = {}
  for i = 0, PACE_MINUTES - 1 do fields[#fields + 1] = whole(minute - i) .. ' ' .. engine end
  return redis.call('HMGET', K.rates, unpack(fields))
end

local function in_part(key, from, to)
  return tried(function() return redis.call('ZLEXCOUNT', key, '[' .. from, '(' .. to) end, 0)
end

local others = 0
local function lines()
  local is_all_ready = know_those_in(K.ready, '-', '+', '^([^ !]+)!? ', '', '!!')
  know_those_in(K.blocked, '[ ', '(!', '^ ([^ ]+) ', ' ', '!')
  local found, all = {}, 0
  for i, engine in ipairs(engines) do
    local ready = in_part(K.ready, engine .. ' ', engine .. '!')
    local suspected = in_part(K.ready, engine .. '! ', engine .. '!!')
    all = all + ready + suspected
    found[i] = { engine, ready, suspected, in_part(K.blocked, ' ' .. engine .. ' ', ' ' .. engine .. '!'),
      tried(function() return how_many_offer(engine) end, 0),
      tried(function() return first_in_line(engine) end, false),
      tried(function() return buckets(engine) end, {}) }
  end
  if not is_all_ready then others = math.max(0, redis.call('ZCARD', K.ready) - all) end
  return found
end

local function until_due(key)
  local first = redis.call('ZRANGE', key, '0', '0', 'WITHSCORES')
  local next = redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  return { redis.call('ZCARD', key), redis.call('ZCOUNT', key, '-inf', now), first[2] or '', next[2] or '' }
end

local function set_aside_by_layout()
  local found, after = {}, '-inf'
  for _ = 1, 10 do
    local layout = redis.call('ZRANGEBYSCORE', K.newer, after, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')[2]
    if not layout then break end
    found[#found + 1] = layout
    found[#found + 1] = redis.call('ZCOUNT', K.newer, layout, layout)
    after = '(' .. layout
  end
  return found
end

local function done_by_minute()
  local fields, found = {}, {}
  for i = 0, RATES_MINUTES - 1 do fields[#fields + 1] = whole(minute - i) .. '!' end
  for i, text in ipairs(redis.call('HMGET', K.rates, unpack(fields))) do
    found[i] = string.format('%.0f %.0f %.0f', all_in_minute(text))
  end
  return found
end

local nothing_due = { 0, 0, '', '' }
local in_lines = tried(lines, {})
return {
  now, sizes(), tried(function() return redis.call('HGETALL', K.halted) end, {}), in_lines, others,
  { tried(function() return until_due(K.sleeping) end, nothing_due),
    tried(function() return until_due(K.retry_wait) end, nothing_due) },
  tried(set_aside_by_layout, {}), tried(done_by_minute, {}),
}
