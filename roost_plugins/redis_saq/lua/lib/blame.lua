-- Shared by the scripts that give leases and take them back: whether its worker's death was a work item's own.
-- USES: record
--
-- The word `blame` of a record is '-' or "deaths,shared,alone,lost-alone,beats,worker":
--   deaths      workers that died over this step while it was all that they ran: these bury it
--   shared      workers that died over this step and others: a suspicion, and no more
--   alone       of the newest lease: 0 no, 1 until its first step is accepted, 2 throughout
--   worker      who held the last lease that was taken back, until it is known whether it died,
--   beats       how often it had renewed by then; one more, ever, and it has not died
--   lost-alone  and what that lease was, as `alone`
--
-- Work whose workers died over it more than once is *suspected*: it has its own line, and is leased
-- only to a worker that runs nothing but suspected work. How many of them it runs together is
-- halved with each death, down to one, which is alone. An accepted step clears everything.

-- Seldom.
-- Cleared by an accepted step, except that the lease continues alone.
local function cleared(blame)
  return string.find(blame, '^%d+,%d+,2,') and '0,0,2,0,0,-' or '-'
end

-- Seldom.
local function blame_of(r)
  if r.blame == '-' then
    return { deaths = 0, shared = 0, alone = '0', lost_alone = '0', beats = '0', worker = '-' }
  end
  local deaths, shared, alone, lost_alone, beats, worker =
    string.match(r.blame, '^(%d+),(%d+),([012]),([012]),(%d+),(.+)$')
  return { deaths = tonumber(deaths), shared = tonumber(shared), alone = alone, lost_alone = lost_alone,
    beats = beats, worker = worker }
end

-- Seldom.
local function set_blame(r, b)
  if b.deaths + b.shared == 0 and b.alone == '0' and b.worker == '-' then
    r.blame = '-'
  else
    r.blame = whole(b.deaths) .. ',' .. whole(b.shared) .. ',' .. b.alone .. ',' .. b.lost_alone .. ','
      .. b.beats .. ',' .. b.worker
  end
end

-- Seldom.
-- By the record alone, because it decides where the work is kept. A worker that may yet come back counts.
local function is_suspected(r)
  if r.blame == '-' then return false end
  local b = blame_of(r)
  return b.deaths + b.shared + (b.worker == '-' and 0 or 1) >= 2
end

-- Seldom.
-- Of how many suspected work items this may be one that a worker runs together, which could take up to `most`. What
-- may have killed a worker alone runs alone.
local function company_of(r, most)
  local b = blame_of(r)
  if b.deaths > 0 or (b.worker ~= '-' and b.lost_alone ~= '0') then return 1 end
  local died = b.shared + (b.worker == '-' and 0 or 1)
  return math.max(1, math.floor(most / 2 ^ math.min(died - 1, 30)))
end

-- Seldom.
-- How often a worker has renewed, or nil if that is not known, or damaged.
local function beats_of(worker)
  local beats = redis.pcall('HGET', K.beats, worker)
  if type(beats) == 'string' and #beats <= 15 and string.find(beats, '^%d+$') then return beats end
end

-- Seldom.
-- In place of that number: it has retired, and whatever it left behind, it did not die.
local function retired_beats()
  return '999999999999999'
end

-- Seldom.
local function note_left(worker)
  redis.pcall('HSET', K.beats, worker, retired_beats())
end

-- Seldom.
local function count_beat(worker)
  local beats = redis.pcall('HINCRBY', K.beats, worker, '1')
  if type(beats) ~= 'number' or beats < 1 or beats >= 1e15 then redis.pcall('HSET', K.beats, worker, '1') end
end

-- Seldom.
-- Decide about the last lease that was taken back: has its worker been heard from since?
local function judge(b)
  if b.worker == '-' then return end
  local beats = beats_of(b.worker)
  if not beats or beats == b.beats then
    if b.lost_alone == '0' then b.shared = b.shared + 1 else b.deaths = b.deaths + 1 end
  end
  b.worker, b.beats, b.lost_alone = '-', '0', '0'
end

-- Seldom.
-- This many deaths alone bury it.
local function most_deaths(r)
  return math.max(1, tonumber(r.max_recoveries))
end

-- Seldom.
-- Whether one more death alone buries it: then that death has to be certain.
local function is_in_doubt(r, b)
  return b.worker ~= '-' and b.lost_alone ~= '0' and b.deaths + 1 >= most_deaths(r)
end

-- Seldom.
-- Its lease has run out. The caller is alive.
local function note_lost(r, caller)
  local b = blame_of(r)
  judge(b)
  local beats = beats_of(r.worker) or '0'
  if r.worker ~= caller and beats ~= retired_beats() then
    b.worker, b.beats, b.lost_alone = r.worker, beats, b.alone
  end
  b.alone = '0'
  set_blame(r, b)
  return b
end
