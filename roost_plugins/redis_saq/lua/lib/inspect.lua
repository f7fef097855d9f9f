-- Shared by the repair scripts: what they find, and whether they may fix it.
--
-- A finding is {what, where, id}. Python counts and describes them.

-- Return a function that notes a finding, and returns whether to fix it.
local function finder(findings)
  return function(what, where, id)
    findings[#findings + 1] = { what, where, id }
    return ARGV[1] == '0'
  end
end

-- A step of a walk through a hash or a sorted set: the next cursor, and what the command returns.
local function step_of(command, key, cursor, count)
  if command == 'HSCAN' then
    -- Values may be large, and newer servers can leave them out.
    local page = redis.pcall('HSCAN', key, cursor, 'COUNT', count, 'NOVALUES')
    if not page.err then return page[1], page[2] end
  end
  local page = redis.call(command, key, cursor, 'COUNT', count)
  local names = {}
  for i = 1, #page[2], 2 do names[#names + 1] = page[2][i] end
  return page[1], names
end

-- The name of the index for work in a state.
local function place_name(state)
  return state == 'queued' and 'ready' or state
end
