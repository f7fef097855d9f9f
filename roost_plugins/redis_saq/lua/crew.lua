-- Read which workers live, and what they run.
-- KEYS: work sleeping retry_wait running workers seen rates
-- USES: record show rates reservations survey
-- ARGV: most-workers most-leases look
-- Result: {{{info, seen}...}, live-workers, looked-at, {worker, how many leases...}, {{row, usual|nil}...}}
--   the rows are those of the oldest leases, without snapshot and payload; usual is "count total longest" of the steps
--     of the last hour that started from the same label, as in lib/rates.lua

local LABELS = 100
local read = reader(4194304)

local function live_workers()
  local found, count = {}, 0
  for _, worker in ipairs(redis.call('ZREVRANGE', K.seen, '0', whole(5 * ARGV[1] - 1))) do
    -- One that has left is not in the register any more.
    local info = redis.call('HGET', K.workers, worker)
    if info and is_live(worker) then
      count = count + 1
      if #found < tonumber(ARGV[1]) then found[count] = { info, redis.call('ZSCORE', K.seen, worker) } end
    end
  end
  return { found, count }
end

-- Since when a lease is there, and whose it is, without parsing all of the record.
local function lease_in(raw)
  local label_at = string.sub(raw, 1, 2) == '2 ' and string.find(raw, '\n', 1, true) or #raw
  local rest_at = string.find(raw, '\n', label_at + 1, true) or #raw
  local before, since = string.match(raw, F.before.since, rest_at + 1)
  return tonumber(since) or 0, before and string.match(before, '^%S+ (%S+)') or '-'
end

local leases, of_worker = {}, {}
local function all_leases()
  local ids = redis.call('ZRANGE', K.running, '0', whole(ARGV[3] - 1))
  for first = 1, #ids, 500 do
    local some = { unpack(ids, first, math.min(first + 499, #ids)) }
    for i, raw in ipairs(redis.call('HMGET', K.work, unpack(some))) do
      if raw then
        local since, worker = lease_in(raw)
        leases[#leases + 1] = { some[i], raw, since }
        if worker ~= '-' then of_worker[worker] = (of_worker[worker] or 0) + 1 end
      end
    end
  end
  table.sort(leases, function(a, b)
    if a[3] ~= b[3] then return a[3] < b[3] end
    return a[1] < b[1]
  end)
end

local known, labels = {}, 0
local function usual_of(engine, step)
  local label = engine .. ' ' .. rates_label(step)
  if known[label] == nil and labels < LABELS then
    labels = labels + 1
    local fields, minute = {}, minute_of_now()
    for i = 0, RATES_MINUTES - 1 do fields[#fields + 1] = whole(minute - i) .. ' ' .. label end
    local count, total, longest = 0, 0, 0
    for _, text in ipairs(redis.call('HMGET', K.rates, unpack(fields))) do
      local a, b, c = string.match(text or '', '^(%d+) (%d+) (%d+)$')
      if a and #text < 40 then count, total, longest = count + a, total + b, math.max(longest, tonumber(c)) end
    end
    known[label] = count > 0 and string.format('%.0f %.0f %.0f', count, total, longest)
  end
  return known[label] or false
end

local function rows()
  local found = {}
  for i = 1, math.min(#leases, tonumber(ARGV[2])) do
    local id, raw = leases[i][1], leases[i][2]
    local r = parse(raw)
    local row = shown(id, { raw, without_payload(read(id .. ' item')), false }, true)
    row[4] = score_in(K.running, id)
    row[8] = r and r.has_beat == '1' and read(id .. ' beat')
    found[i] = { row, r and tried(function() return usual_of(r.engine, r.step) end, false) or false }
  end
  return found
end

local workers = tried(live_workers, { {}, 0 })
tried(all_leases)
local told = tried(rows, {})
local counts = {}
for worker, count in pairs(of_worker) do
  counts[#counts + 1] = worker
  counts[#counts + 1] = count
end
return { workers[1], workers[2], #leases, counts, told }
