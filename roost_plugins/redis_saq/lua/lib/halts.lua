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
