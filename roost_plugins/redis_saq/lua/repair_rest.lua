-- The repair's last step: counters and the registers of workers.
-- KEYS: seq turn idle offers lines seen workers
-- USES: record inspect
-- ARGV: dry(0|1) greatest order of arrival seen
-- Result: {finding...}

local findings = {}
local found = finder(findings)
-- The most of each kind in one call.
local MOST = 1000

local seq = redis.call('GET', K.seq)
local number = tonumber(seq or '0')
if not number or not string.find(seq or '0', '^%d+$') or number >= 1e14 or number < tonumber(ARGV[2]) then
  if found('counter', 'seq', seq or '') then redis.call('SET', K.seq, ARGV[2]) end
end
local turn = redis.call('GET', K.turn)
if turn and not (string.find(turn, '^%d+$') and #turn <= 15) and found('counter', 'turn', turn) then
  redis.call('SET', K.turn, '0')
end

-- A set ordered by name, whose members have certain forms.
local function look_at_names(name, key, ...)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', '+inf', 'LIMIT', '0', MOST)) do
    local is_one = false
    for _, form in ipairs({ ... }) do is_one = is_one or string.find(member, form) end
    if not is_one and found('gone', name, member) then redis.call('ZREM', key, member) end
  end
  for _, bounds in ipairs({ { '-inf', '(0' }, { '(0', '+inf' } }) do
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, bounds[1], bounds[2], 'LIMIT', '0', MOST)) do
      if found('score', name, member) then redis.call('ZADD', key, '0', member) end
    end
  end
end
look_at_names('idle', K.idle, '^[!-~]+ [!-~]+$')
look_at_names('offers', K.offers, '^engine [!-~]+ [!-~]+$', '^worker [!-~]+ [!-~]+$')
look_at_names('lines', K.lines, '')
-- A live worker will be heard from again.
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', K.seen, '(' .. whole(now + 60000), '+inf', 'LIMIT', '0', MOST)) do
  if found('score', 'seen', worker) then redis.call('ZADD', K.seen, '0', worker) end
end
local _, workers = step_of('HSCAN', K.workers, '0', MOST)
for _, worker in ipairs(workers) do
  if not redis.call('ZSCORE', K.seen, worker) and found('gone', 'workers', worker) then
    redis.call('HDEL', K.workers, worker)
  end
end
return findings
