-- Store a work item, once.
-- KEYS: work key ready sleeping created seq events idle halted index
-- USES: record trail line past
-- ARGV: id digest delay-ms item "key=value ...", and of the table of fields those that are enqueued, in its order;
--   then, if it begins with a version of another work item, what lib/past.lua says
-- Result: {'created'|'existing'|'taken'|'conflict', id}

local id, digest, delay, labels = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local r = { F.new, answers = '', tail = labels == '' and '' or '\n' .. labels }

local key = r.key
if key ~= '' then
  local known_id, known_digest = string.match(redis.call('HGET', K.key, key) or '', '^([^ ]+) ([^ ]+)$')
  -- A key whose work is gone, or that is damaged, means nothing.
  if known_id and redis.call('HEXISTS', K.work, known_id) == 1 then
    if known_digest ~= digest then return { 'conflict', known_id } end
    return { is_stored_by(r.nonce, known_id) and 'created' or 'existing', known_id }
  end
end

if redis.call('HEXISTS', K.work, id) == 1 then return { is_stored_by(r.nonce, id) and 'created' or 'taken', id } end

local seq = sound_seq(redis.pcall('INCR', K.seq), 1)
r.seq, r.created, r.updated = string.format('%d', seq), now, now
if key ~= '' then redis.call('HSET', K.key, key, id .. ' ' .. digest) end
redis.call('ZADD', K.created, now, id)
redis.pcall('ZADD', K.index, '0', 'e ' .. r.engine .. ' ' .. id)
for label in string.gmatch(labels, '[^ ]+') do redis.pcall('ZADD', K.index, '0', 'l ' .. label .. ' ' .. id) end
local is_delayed = delay ~= '0'
if is_delayed then
  r.state = 'sleeping'
  redis.call('ZADD', K.sleeping, due_after(r, delay), id)
else
  make_ready(id, r)
end
if ARGV[F.past_at] then
  noted('enqueued', id, r, take_past(id, r, F.past_at))
  redis.call('HSET', K.work, id, text_of(r), id .. ' item', ARGV[4], unpack(r.trail))
else
  redis.call('HSET', K.work, id, text_of(r), id .. ' item', ARGV[4])
  event('enqueued', id, r, '{}')
end
if seq % 100 == 0 then
  trim_events()
  trim_bytes()
end
-- Idle workers know the next due time; only an earlier one is news to them.
if not is_delayed or redis.call('ZRANGE', K.sleeping, '0', '0')[1] == id then wake(r.engine) end
return { 'created', id }
