-- Count what places and parts of the index hold, at one moment.
-- KEYS: index created ready sleeping retry_wait running blocked waiting paused done failed cancelled
-- ARGV: min max of each part, as in ZLEXCOUNT
-- Result: {all, engines in the index, dead letters in it, {of each state, in the order of KEYS...}, {of each part...}}

local states, parts = {}, {}
for i, place in ipairs({ K.ready, K.sleeping, K.retry_wait, K.running, K.blocked, K.waiting, K.paused, K.done,
  K.failed, K.cancelled }) do
  states[i] = redis.call('ZCARD', place)
end
for i = 1, #ARGV, 2 do parts[#parts + 1] = redis.call('ZLEXCOUNT', K.index, ARGV[i], ARGV[i + 1]) end
return {
  redis.call('ZCARD', K.created),
  redis.call('ZLEXCOUNT', K.index, '[e ', '(e!'),
  redis.call('ZLEXCOUNT', K.index, '[f ', '(f!'),
  states, parts,
}
