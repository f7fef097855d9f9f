-- Shared by the scripts that take work, or tell of it: the engines that people hold.
--
-- `halted` has an entry for each, which says who holds it. Their work stays where it is and moves as usual (what
-- is due becomes ready), but no claim takes it, nobody is woken for it, and it reserves nothing.

-- Seldom.
local function is_halted(engine)
  return redis.pcall('HEXISTS', K.halted, engine) == 1
end

-- Seldom.
-- Those of these engines ("a b c") that nobody holds.
local function unhalted(engines)
  local free = {}
  for engine in string.gmatch(engines, '[^ ]+') do
    if not is_halted(engine) then free[#free + 1] = engine end
  end
  return table.concat(free, ' ')
end

-- What people did to an engine is in `holds`, a line each, the last eight, newest first: "request-id event-id actor".
-- So the repeat of a request is known, and who did what last, after the events are gone.

-- Seldom.
-- Whether this very request was done before.
local function was_done_to(engine, request)
  local told = redis.pcall('HGET', K.holds, engine)
  return type(told) == 'string' and string.find('\n' .. told, '\n' .. request .. ' ', 1, true) ~= nil
end

-- Seldom.
-- Keep what was done to an engine. At worst, if that is damaged, a repeat gets another answer.
local function note_done_to(engine, request, actor, event_id)
  local told = redis.pcall('HGET', K.holds, engine)
  local lines = { request .. ' ' .. event_id .. ' ' .. actor }
  for line in string.gmatch(type(told) == 'string' and told or '', '[^\n]+') do
    if #lines < 8 then lines[#lines + 1] = line end
  end
  redis.pcall('HSET', K.holds, engine, table.concat(lines, '\n'))
end
