-- Release a held engine: its work is taken again.
-- KEYS: ready events idle halted holds
-- USES: record halts line
-- ARGV: engine actor request-id
-- Result: whether it was held (0|1)
-- Events: engine_released

local engine, actor, request = ARGV[1], ARGV[2], ARGV[3]
-- Its answer was lost. Others may hold the engine by now.
if was_done_to(engine, request) then return 1 end
local was_held = redis.call('HDEL', K.halted, engine)
if was_held == 1 then
  local as = { engine = engine, version = '0', state = 'queued' }
  note_done_to(engine, request, actor, event('engine_released', '-', as, actor))
  -- Who claims, and finds that more is ready, wakes the next.
  if is_any_ready(engine) then wake(engine) end
end
return was_held
