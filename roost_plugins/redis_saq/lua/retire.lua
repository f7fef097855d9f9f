-- Strike a worker that stops from the register, and take back what it does not know that it has leased. Void
-- what only it would have run.
-- KEYS: work ready running blocked held lines failed newer events idle workers seen beats claims offers
-- ARGV: worker "engine engine ..." "slot:claim-id ..."
-- Result: 1

local worker = ARGV[1]
take_back(worker, ARGV[3])
for engine in string.gmatch(ARGV[2], '%S+') do redis.pcall('ZREM', K.idle, engine .. ' ' .. worker) end
pcall(withdraw, worker)
redis.pcall('HDEL', K.workers, worker)
-- It has not died: who finds a lease of its that has run out later is to know that.
redis.pcall('ZADD', K.seen, now, worker)
note_left(worker)
pcall(void_reservations)
return 1
