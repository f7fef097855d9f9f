-- Store a work item, once.
-- KEYS: work key ready sleeping created seq events idle
-- ARGV: id engine priority nonce digest idempotency-key|'' delay-ms deadline-ms|0 max-attempts
--       max-recoveries "resource resource ..." item
-- Result: {'created'|'existing'|'taken'|'conflict', id}

local id, engine, nonce, digest, key = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]

if key ~= '' then
  local known = redis.call('HGET', K.key, key)
  if known then
    local known_id, known_digest = string.match(known, '^([^ ]+) ([^ ]+)$')
    if known_digest ~= digest then return { 'conflict', known_id } end
    local r = load(known_id, parse)
    return { (r and r.nonce == nonce) and 'created' or 'existing', known_id }
  end
end

local taken, broken = load(id, parse)
if taken or broken then
  return { (taken and taken.nonce == nonce) and 'created' or 'taken', id }
end

local seq = redis.call('INCR', K.seq)
local r = {
  version = '0', token = '-', last = '-', updated = now, committed = '0', attempts = '0',
  recoveries = '0', has_error = '0', has_beat = '0', deadline = ARGV[8], engine = engine, step = '',
  state = 'sleeping', fence = '0', worker = '-', priority = ARGV[3], seq = whole(seq), created = now,
  started = '0', blocked_on = '-', max_attempts = ARGV[9], max_recoveries = ARGV[10], nonce = nonce,
  resources = ARGV[11], key = key, answers = '',
}
if key ~= '' then redis.call('HSET', K.key, key, id .. ' ' .. digest) end
redis.call('ZADD', K.created, now, id)
local is_delayed = ARGV[7] ~= '0'
if is_delayed then
  redis.call('ZADD', K.sleeping, due_after(r, ARGV[7]), id)
else
  make_ready(id, r)
end
redis.call('HSET', K.work, id, text_of(r), id .. ' item', ARGV[12])
event('enqueued', id, r, '{}')
if seq % 100 == 0 then trim_events() end
-- Idle workers know of the next due time; only an earlier one is news to them.
if not is_delayed or redis.call('ZRANGE', K.sleeping, '0', '0')[1] == id then wake(engine) end
return { 'created', id }
