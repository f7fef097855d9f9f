-- A step of the repair: check some idempotency keys, and add those that are missing.
-- KEYS: work key
-- USES: record inspect
-- ARGV: dry(0|1) cursor|'' count then for each missing one: id key digest
-- Result: {cursor, {finding...}}

local findings = {}
local found = finder(findings)
local cursor, keys = '0', {}
if ARGV[2] ~= '' then cursor, keys = step_of('HSCAN', K.key, ARGV[2], ARGV[3]) end
for _, key in ipairs(keys) do
  local known = string.match(redis.call('HGET', K.key, key) or '', '^([^ ]+) [^ ]+$')
  local raw = known and redis.call('HGET', K.work, known)
  local r = raw and parse(raw)
  local is_right = raw and (newer_layout(raw) or r and r.key == key)
  if not is_right and found('stray', 'key', known or key) then redis.call('HDEL', K.key, key) end
end
for i = 4, #ARGV, 3 do
  local id, key, digest = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local r = load(id, parse)
  if r and r.key == key and found('missing', 'key', id) then redis.call('HSET', K.key, key, id .. ' ' .. digest) end
end
return { cursor, findings }
