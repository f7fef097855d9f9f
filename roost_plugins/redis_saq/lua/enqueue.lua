-- Store a work item, once.
-- KEYS: record item key ready sleeping created seq events idle
-- ARGV: id engine priority nonce digest idempotency-key|'' delay-ms deadline-ms|'' max-attempts
--       max-recoveries resources-json|'' item
-- Result: {'created'|'existing'|'taken'|'conflict', id}

local id, engine, nonce, digest, key = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]
local delay, deadline = tonumber(ARGV[7]), tonumber(ARGV[8])

if key ~= '' then
  local known = redis.call('HGET', K.key, key)
  if known then
    local known_id, known_digest = string.match(known, '^(%S+) (%S+)$')
    if known_digest ~= digest then return { 'conflict', known_id } end
    local r = load(known_id)
    return { (r and r.nonce == nonce) and 'created' or 'existing', known_id }
  end
end

local taken, broken = load(id)
if taken or broken then
  return { (taken and taken.nonce == nonce) and 'created' or 'taken', id }
end

local r = {
  engine = engine,
  seq = next_seq(),
  nonce = nonce,
  deadline = deadline,
  max_attempts = tonumber(ARGV[9]),
  max_recoveries = tonumber(ARGV[10]),
  created = now,
  updated = now,
}
if ARGV[3] ~= '0' then r.priority = tonumber(ARGV[3]) end
if ARGV[11] ~= '' then r.resources = cjson.decode(ARGV[11]) end
if key ~= '' then
  r.key = key
  redis.call('HSET', K.key, key, id .. ' ' .. digest)
end
redis.call('HSET', K.item, id, ARGV[12])
redis.call('ZADD', K.created, now, id)
if delay > 0 then
  r.state = 'sleeping'
  redis.call('ZADD', K.sleeping, due_after(r, delay), id)
else
  make_ready(id, r)
end
save(id, r)
event('enqueued', id, r)
-- Idle workers know of the next due time; only an earlier one is news to them.
if delay == 0 or redis.call('ZRANGE', K.sleeping, 0, 0)[1] == id then wake(engine) end
return { 'created', id }
