-- Read which resources are held or waited for, those with the longest lines first.
-- KEYS: work running held lines
-- USES: record show resources survey
-- ARGV: most look
-- Result: {how-many, {{resource, holder|'', engine|'', worker|'', expires|'', waiting, first|''}...}}
--   holder: the work item whose lease holds it, with that lease; first: who is first in its line

local MOST, LOOK = tonumber(ARGV[1]), tonumber(ARGV[2])
local found, by_name = {}, {}

local function know(name)
  if not by_name[name] then
    by_name[name] = { name = name, waiting = 0, first = '' }
    found[#found + 1] = by_name[name]
  end
  return by_name[name]
end

local function of_lines()
  each_group(K.lines, '[resource ', '(resource!', '^resource ([^ ]+) .-([^ ]+)$', LOOK, function(name, first)
    local part, one = 'resource ' .. name, know(name)
    one.first = first
    one.waiting = redis.call('ZLEXCOUNT', K.lines, '[' .. part .. ' ', '(' .. part .. '!')
    return '[' .. part .. '!'
  end)
end

local function of_held()
  local cursor = '0'
  repeat
    local page = redis.call('HSCAN', K.held, cursor, 'COUNT', whole(LOOK))
    cursor = page[1]
    for i = 1, #page[2], 2 do know(page[2][i]).holder = page[2][i + 1] end
  until cursor == '0' or #found >= 2 * LOOK
end

-- The lease that holds it, if its record agrees.
local function lease_of(one)
  one.holder = one.holder or redis.call('HGET', K.held, one.name)
  local raw = one.holder and redis.call('HGET', K.work, one.holder)
  local r = raw and parse(raw)
  if r and r.state == 'running' and names_resource(r, one.name) or raw and newer_layout(raw) then
    return { one.name, one.holder, engine_of(raw) or '', r and r.worker or '',
      redis.call('ZSCORE', K.running, one.holder) or '', one.waiting, one.first }
  end
  return one.waiting > 0 and { one.name, '', '', '', '', one.waiting, one.first }
end

tried(of_lines)
tried(of_held)
local count = math.max(#found, tried(function() return redis.call('HLEN', K.held) end, 0))
table.sort(found, function(a, b)
  if a.waiting ~= b.waiting then return a.waiting > b.waiting end
  return a.name < b.name
end)
local told = {}
for _, one in ipairs(found) do
  if #told == MOST then break end
  local row = tried(function() return lease_of(one) end, false)
  if row then told[#told + 1] = row else count = count - 1 end
end
return { count, told }
