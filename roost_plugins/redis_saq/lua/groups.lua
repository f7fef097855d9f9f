-- Count the groups of a part of the index: members that are alike but for the id.
-- KEYS: index
-- ARGV: min max most: the part, as in ZRANGEBYLEX, and how many groups are counted at most
-- Result: {min of what is left|'', {group, count, first id...}}

local at, groups = ARGV[1], {}
for _ = 1, tonumber(ARGV[3]) do
  local first = redis.call('ZRANGEBYLEX', K.index, at, ARGV[2], 'LIMIT', '0', '1')[1]
  if not first then return { '', groups } end
  local group, id = string.match(first, '^(.*) ([^ ]*)$')
  if not group then group, id = first, '' end
  -- '!' is the byte after the space.
  groups[#groups + 1] = group
  groups[#groups + 1] = redis.call('ZLEXCOUNT', K.index, '[' .. group .. ' ', '(' .. group .. '!')
  groups[#groups + 1] = id
  at = '[' .. group .. '!'
end
return { at, groups }
