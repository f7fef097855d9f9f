-- Release a held engine: its work is taken again.
-- KEYS: ready idle halted
-- ARGV: engine
-- Result: whether it was held (0|1)

local engine = ARGV[1]
local was_held = redis.call('HDEL', K.halted, engine)
-- Who claims, and finds that more is ready, wakes the next.
if was_held == 1 and is_any_ready(engine) then wake(engine) end
return was_held
