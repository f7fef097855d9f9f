-- Strike a worker that stops from the register.
-- KEYS: idle workers seen
-- ARGV: worker "engine engine ..."
-- Result: 1

for engine in string.gmatch(ARGV[2], '%S+') do redis.call('ZREM', K.idle, engine .. ' ' .. ARGV[1]) end
redis.call('HDEL', K.workers, ARGV[1])
redis.call('ZREM', K.seen, ARGV[1])
return 1
