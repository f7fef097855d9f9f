-- Read which errors the dead letters have, the newest first, and how many have each.
-- KEYS: work failed index
-- USES: record show index survey
-- ARGV: most-groups look
-- Result: {is-indexed(1|0), how-many-groups, {{fingerprint, count, newest, id, error|nil, engine...}...}}
--   newest: when the newest of them failed that was looked at, with its id and its error, which lacks its traceback
--   if the index lacks some, counts are of those that were looked at

local MOST, LOOK = tonumber(ARGV[1]), tonumber(ARGV[2])
local MOST_KINDS, MEMBERS = 500, 5
local read = reader(4194304)
local groups, by_name = {}, {}

local function note(name, id, failed, error)
  local group = by_name[name]
  if not group then
    group = { name = name, count = 0, newest = 0, engines = {} }
    by_name[name] = group
    groups[#groups + 1] = group
  end
  group.count = group.count + 1
  if failed > group.newest then group.newest, group.id, group.error = failed, id, error end
  local raw = redis.call('HGET', K.work, id)
  local engine = raw and engine_of(raw)
  if engine then group.engines[engine] = true end
  return group
end

-- The newest, until they have as many errors as are asked for.
local function of_newest()
  local found = redis.call('ZREVRANGE', K.failed, '0', whole(LOOK - 1), 'WITHSCORES')
  for i = 1, #found, 2 do
    if #groups == MOST then return end
    local error = read(found[i] .. ' error')
    note(fingerprint(error or ''), found[i], tonumber(found[i + 1]), error)
  end
end

-- How many groups there are; and if the newest have too few, some of those whose dead letters are all older: of each a
-- few are looked at.
local function of_others()
  local count, others = 0, #groups < MOST and 2 * MOST or 0
  each_group(K.index, '[f ', '(f!', '^f ([^ ]+) ', MOST_KINDS, function(name)
    local part = 'f ' .. name
    count = count + 1
    if others > 0 and not by_name[name] then
      others = others - 1
      for _, member in ipairs(redis.call('ZRANGEBYLEX', K.index, '[' .. part .. ' ', '(' .. part .. '!', 'LIMIT', '0',
        whole(MEMBERS))) do
        local id = string.sub(member, #part + 2)
        note(name, id, tonumber(redis.call('ZSCORE', K.failed, id) or 0), read(id .. ' error'))
      end
    end
    return '[' .. part .. '!'
  end)
  return count
end

local is_indexed = tried(function()
  return redis.call('ZLEXCOUNT', K.index, '[f ', '(f!') == redis.call('ZCARD', K.failed)
end, false)
tried(of_newest)
local count = is_indexed and tried(of_others, 0) or #groups
table.sort(groups, function(a, b)
  if a.newest ~= b.newest then return a.newest > b.newest end
  return a.name < b.name
end)

local told = {}
for i = 1, math.min(#groups, MOST) do
  local group = groups[i]
  local size = group.count
  if is_indexed then size = redis.call('ZLEXCOUNT', K.index, '[f ' .. group.name .. ' ', '(f ' .. group.name .. '!') end
  told[i] = { group.name, size, string.format('%.0f', group.newest), group.id, without_traceback(group.error) }
  local engines = {}
  for engine in pairs(group.engines) do engines[#engines + 1] = engine end
  table.sort(engines)
  for _, engine in ipairs(engines) do table.insert(told[i], engine) end
end
return { is_indexed and 1 or 0, count, told }
