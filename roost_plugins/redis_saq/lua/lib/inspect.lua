-- Shared by the scripts of the repair: what they find, and whether they may put it right.
--
-- A finding is {what, where, id}. Python counts them and puts them into words.

-- Return a function that notes a finding, and tells whether it is to be put right.
local function finder(findings)
  return function(what, where, id)
    findings[#findings + 1] = { what, where, id }
    return ARGV[1] == '0'
  end
end

-- A step of a walk through a hash or a sorted set: the next cursor, and what a command of it brings.
local function step_of(command, key, cursor, count)
  if command == 'HSCAN' then
    -- Values may be large, and newer servers spare them.
    local page = redis.pcall('HSCAN', key, cursor, 'COUNT', count, 'NOVALUES')
    if not page.err then return page[1], page[2] end
  end
  local page = redis.call(command, key, cursor, 'COUNT', count)
  local names = {}
  for i = 1, #page[2], 2 do names[#names + 1] = page[2][i] end
  return page[1], names
end

-- The name of the index in which work of a state stands.
local function place_name(state)
  return state == 'queued' and 'ready' or state
end
