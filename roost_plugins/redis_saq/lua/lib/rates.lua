-- Shared by the scripts that keep and show how fast work goes: buckets of a minute each, for an hour.
-- USES: record
--
-- `rates` is a hash. In it stand, for a minute (the time in minutes since the epoch):
--   "<minute>"                  how many different labels this minute has, of all engines
--   "<minute> <engine>"         "steps leases": accepted steps, and leases that began
--   "<minute> <engine> <step>"  "count total longest", in ms: of the steps that started from a snapshot
--                               with this label; it is empty for the first step, '*' for all labels beyond the
--                               first hundred
--   "<minute>! <engine>"        "attempts dead": attempts that failed, and work that was given up; a Roost that does
--                               not know it removes it with its minute
--   "<minute>!"                 "steps attempts dead": the same of all engines together
-- What is damaged counts as nothing, and is gone with its minute. Nothing is decided by these numbers.

local RATES_MINUTES = 60
local RATES_LABELS = 100
-- Far more fields than there can be, unless something else writes here.
local RATES_FIELDS = 20000

-- Seldom.
local function minute_of_now()
  return math.floor(now / 60000)
end

-- Seldom.
-- Remove what is older than an hour, and what has no time, or one in the future.
local function forget_rates(minute)
  if redis.call('HLEN', K.rates) > RATES_FIELDS then
    redis.call('DEL', K.rates)
    return
  end
  local old = {}
  local fields = redis.call('HSCAN', K.rates, '0', 'COUNT', whole(4 * RATES_FIELDS))[2]
  for i = 1, #fields, 2 do
    local at = tonumber(string.match(fields[i], '^%d+'))
    if not at or at <= minute - RATES_MINUTES or at > minute then old[#old + 1] = fields[i] end
    if #old == 1000 then
      redis.call('HDEL', K.rates, unpack(old))
      old = {}
    end
  end
  call_for('HDEL', K.rates, old)
end

-- Seldom.
-- A label as it stands in a field: its first 80 bytes.
local function rates_label(step)
  return string.sub(step, 1, 80)
end

-- Seldom.
-- The field for a label, if this minute has room for it.
local function rates_field(minute, engine, step)
  local before = whole(minute) .. ' ' .. engine
  if not step then return before end
  for i, label in ipairs({ step, '*' }) do
    local field = before .. ' ' .. label
    if redis.call('HEXISTS', K.rates, field) == 1 then return field end
    -- As many again for what the others are counted under: an engine each.
    if redis.call('HINCRBY', K.rates, whole(minute), '1') <= RATES_LABELS * i then return field end
  end
end

-- Seldom.
-- Add two or three numbers, all with at most twelve digits, to those in a field; the third is a maximum.
local function add_to(field, first, second, longest)
  local had = redis.call('HGET', K.rates, field) or ''
  local a, b, c = string.match(had, '^(%d%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?) (%d%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?) ?(%d*)$')
  local sum = whole(first + (a or 0)) .. ' ' .. whole(second + (b or 0))
  if longest then sum = sum .. ' ' .. whole(math.max(tonumber(longest), #(c or '') < 13 and tonumber(c) or 0)) end
  redis.call('HSET', K.rates, field, sum)
end

-- Seldom.
-- What stands in a field for all engines: steps, failed attempts and dead letters.
local function all_in_minute(text)
  local a, b, c = string.match(text or '', '^(%d+) (%d+) (%d+)$')
  if not a or #text > 38 then return 0, 0, 0 end
  return tonumber(a), tonumber(b), tonumber(c)
end

-- Seldom.
-- Add a worker's counts: lines of "steps leases engine", "count total longest engine step" or "! attempts dead engine".
local function add_rates(lines)
  local minute = minute_of_now()
  if redis.call('HSETNX', K.rates, whole(minute), '0') == 1 then forget_rates(minute) end
  local engines = 0
  local all_steps, all_attempts, all_dead = 0, 0, 0
  for line in string.gmatch(lines, '[^\n]+') do
    local first, second, longest, engine, step = string.match(line, '^(%d+) (%d+) (%d+) ([!-~]+) (.*)$')
    local field
    if engine then
      field = rates_field(minute, engine, rates_label(step))
    else
      local mark
      mark, first, second, engine = string.match(line, '^(!? ?)(%d+) (%d+) ([!-~]+)$')
      engines = engines + 1
      if mark == '' then
        all_steps = all_steps + first
      elseif engine then
        all_attempts, all_dead = all_attempts + first, all_dead + second
      end
      -- An engine has two such lines at most.
      if engine and engines <= 2 * RATES_LABELS then
        field = mark == '' and rates_field(minute, engine) or whole(minute) .. '! ' .. engine
      end
    end
    if field then add_to(field, first, second, longest) end
  end
  local sums = whole(minute) .. '!'
  local a, b, c = all_in_minute(redis.call('HGET', K.rates, sums))
  redis.call('HSET', K.rates, sums,
    whole(all_steps + a) .. ' ' .. whole(all_attempts + b) .. ' ' .. whole(all_dead + c))
end
