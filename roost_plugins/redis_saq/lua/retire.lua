-- Remove a stopping worker from the register, and take back what it has leased without knowing. Void reservations
-- of what only it would have run.
-- KEYS: work ready running blocked held lines failed newer events idle workers seen beats claims offers paused cancelled halted index
-- USES: record blame reservations giveback
-- ARGV: worker "engine engine ..." "slot:claim-id ..."
-- Result: 1

local worker = ARGV[1]
take_back(worker, ARGV[3])
for engine in string.gmatch(ARGV[2], '%S+') do redis.pcall('ZREM', K.idle, engine .. ' ' .. worker) end
pcall(withdraw, worker)
redis.pcall('HDEL', K.workers, worker)
-- It has not died: whoever later finds one of its leases expired must know that.
redis.pcall('ZADD', K.seen, now, worker)
note_left(worker)
pcall(void_reservations)
return 1
