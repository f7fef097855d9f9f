-- Shared by the scripts that tell of a whole queue. Damage in one part hides nothing of the others.

-- Seldom.
local function tried(part, otherwise)
  local is_fine, value = pcall(part)
  if is_fine then return value end
  return otherwise
end

-- Seldom.
-- Return a function that reads a field of `work`, unless that would be more, with what it has read, than `most` bytes.
local function reader(most)
  return function(field)
    local size = redis.call('HSTRLEN', K.work, field)
    if size == 0 or size > most then return false end
    most = most - size
    return redis.call('HGET', K.work, field)
  end
end

-- Seldom.
-- Call `found` with the first member of each group of a part of a set ordered by name, and the words that the pattern
-- captures in it: at most `most` of them, each found by one look. It returns where the group ends.
local function each_group(key, from, to, pattern, most, found)
  for _ = 1, most do
    local member = redis.call('ZRANGEBYLEX', key, from, to, 'LIMIT', '0', '1')[1]
    if not member then return true end
    local first, second = string.match(member, pattern)
    from = first and found(first, second) or '(' .. member
  end
  return #redis.call('ZRANGEBYLEX', key, from, to, 'LIMIT', '0', '1') == 0
end
