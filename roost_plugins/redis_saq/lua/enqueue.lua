-- Store a work item, once.
-- KEYS: work key ready sleeping created seq events idle
-- ARGV: id engine priority nonce digest idempotency-key|'' delay-ms deadline-ms|0 max-attempts
--       max-recoveries max-steps|0 "resource resource ..." item
-- Result: {'created'|'existing'|'taken'|'conflict', id}

local id, engine, nonce, digest, key = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]

-- Whether what is stored under an id was stored by this very request, whose answer was lost then. A nonce
-- stands nowhere else in a record, of whatever layout that is by now.
local function is_mine(known_id)
  local raw = redis.call('HGET', K.work, known_id)
  return raw and string.find(raw, ' ' .. nonce, 1, true)
end

if key ~= '' then
  local known_id, known_digest = string.match(redis.call('HGET', K.key, key) or '', '^([^ ]+) ([^ ]+)$')
  -- A key whose work is gone, or that is damaged, stands for nothing.
  if known_id and redis.call('HEXISTS', K.work, known_id) == 1 then
    if known_digest ~= digest then return { 'conflict', known_id } end
    return { is_mine(known_id) and 'created' or 'existing', known_id }
  end
end

if redis.call('HEXISTS', K.work, id) == 1 then return { is_mine(id) and 'created' or 'taken', id } end

local seq = sound_seq(redis.pcall('INCR', K.seq), 1)
local r = {
  version = '0', token = '-', last = '-', updated = now, committed = '0', attempts = '0',
  blame = '-', row = '0', max_steps = ARGV[11], has_error = '0', has_beat = '0', deadline = ARGV[8], engine = engine, step = '',
  state = 'sleeping', fence = '0', worker = '-', priority = ARGV[3], seq = whole(seq), created = now,
  started = '0', blocked_on = '-', max_attempts = ARGV[9], max_recoveries = ARGV[10], nonce = nonce,
  resources = ARGV[12], since = '0', base = '0', entries = '0', key = key, answers = '', more = '', more_standing = '', tail = '',
}
if key ~= '' then redis.call('HSET', K.key, key, id .. ' ' .. digest) end
redis.call('ZADD', K.created, now, id)
local is_delayed = ARGV[7] ~= '0'
if is_delayed then
  redis.call('ZADD', K.sleeping, due_after(r, ARGV[7]), id)
else
  make_ready(id, r)
end
redis.call('HSET', K.work, id, text_of(r), id .. ' item', ARGV[13])
event('enqueued', id, r, '{}')
if seq % 100 == 0 then
  trim_events()
  trim_bytes()
end
-- Idle workers know of the next due time; only an earlier one is news to them.
if not is_delayed or redis.call('ZRANGE', K.sleeping, '0', '0')[1] == id then wake(engine) end
return { 'created', id }
