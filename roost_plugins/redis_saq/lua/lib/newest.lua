-- Shared by the scripts that return snapshots: the newest version of one that later ones follow from by changes
-- (history.lua).

-- Seldom.
local function version_field(id, version)
  return string.format('%s v%d', id, version)
end

-- Seldom.
-- The version that the word `oldest` of a record names, or '0' for none.
local function first_kept(word)
  return string.match(word or '', '^v(%d+)$') or '0'
end

-- Seldom.
-- What the newest version is made from: the base and the changes since, or false for a change that is lost. With
-- `worker`, nothing if that is who stored the newest.
local function newest_of(id, version, anchor, worker)
  local newest = redis.call('HGET', K.work, version_field(id, version))
  if worker and newest and string.match(newest, '^%S+ %S+ (%S+) ') == worker then return {} end
  local found = { redis.call('HGET', K.work, id .. ' snapshot') }
  for begin = anchor + 1, version, 500 do
    local fields = {}
    for one = begin, math.min(begin + 499, version) do fields[#fields + 1] = version_field(id, one) end
    for _, entry in ipairs(redis.call('HMGET', K.work, unpack(fields))) do
      local at = entry and string.find(entry, '\n', 1, true)
      found[#found + 1] = at and string.sub(entry, at + 1) or false
    end
  end
  return found
end
