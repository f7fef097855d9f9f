-- Hold an engine: no claim takes its work any more, and its running steps are the last of their leases.
-- KEYS: work ready running blocked held lines failed newer events idle workers seen offers halted holds index
-- USES: record halts reservations
-- ARGV: engine cursor count [actor request-id]
--   cursor: '0' at first, then what the call before has returned; the last two only count at first
-- Result: {is-new(0|1), cursor}, which is '0' when all leases have been looked at
-- Events: engine_held

local engine = ARGV[1]
local is_new = 0
if ARGV[2] == '0' then
  local actor, request = ARGV[4], ARGV[5]
  -- Its answer was lost. Others may have released the engine since.
  if was_done_to(engine, request) then
    is_new = 1
  else
    is_new = redis.call('HSETNX', K.halted, engine, '{"at":' .. now .. ',' .. string.sub(actor, 2))
    if is_new == 1 then
      local as = { engine = engine, version = '0', state = 'paused' }
      note_done_to(engine, request, actor, event('engine_held', '-', as, actor))
      -- What stood in line stands in nobody's way any more.
      pcall(void_reservations)
    end
  end
end
if not is_halted(engine) then return { is_new, '0' } end
local page = redis.call('ZSCAN', K.running, ARGV[2], 'COUNT', ARGV[3])
local ids = {}
for i = 1, #page[2], 2 do ids[#ids + 1] = page[2][i] end
for i, raw in ipairs(#ids > 0 and redis.call('HMGET', K.work, unpack(ids)) or {}) do
  local r = raw and parse_head(raw)
  if r and r.state == 'running' and r.engine == engine and r.wish == '-' then
    r.wish = 'halt'
    redis.call('HSET', K.work, ids[i], text_of(r))
  end
end
return { is_new, page[1] }
