-- Shared by the scripts that remove work for good: a purge, and a person's drop.
-- USES: record index trail history

-- Seldom.
-- Whether an idempotency key stands for a work item: what is lost may have been given to other work.
local function is_key_of(id, key)
  local stands_for = key ~= '' and redis.pcall('HGET', K.key, key)
  return type(stands_for) == 'string' and string.sub(stands_for, 1, #id + 1) == id .. ' '
end

-- Seldom.
-- The idempotency key of what does not decode, if it can be read.
local function key_of_broken(id)
  local found = redis.call('HMGET', K.work, id, id .. ' item')
  local of_record = key_line(found[1] or '')
  local of_item = string.match(found[2] or '', '"idempotency_key":"([^"\\]+)"')
  for _, key in ipairs({ of_record or '', of_item or '' }) do
    if is_key_of(id, key) then return key end
  end
  return ''
end

-- Its life of the id: when it was created.
local function life_of(id, r)
  local created = r.created or redis.call('ZSCORE', K.created, id)
  return created and string.match(created, '^%d+$') or '0'
end

-- What stands for the record of what does not decode.
local function broken_record(id)
  return { engine = '?', version = '0', state = 'failed', key = key_of_broken(id) }
end

-- Seldom.
-- What leads to it in the index.
local function found_under(id, r)
  local engine = r.created and r.engine or engine_of_broken(id, redis.call('HGET', K.work, id) or '')
  local members = index_members(id, engine, r.tail and labels_of(r) or '')
  members[#members + 1] = member_of_error(id, r)
  return members
end

-- Remove work items, and everything that points to them but their places: {id, r}, at most a hundred, because the
-- call of a command costs more than its work.
local function remove_all(those)
  local ids, fields, keys, to_forget = {}, {}, {}, {}
  for i, one in ipairs(those) do
    local id, r = one.id, one.r
    ids[i] = id
    to_forget[#to_forget + 1] = now
    to_forget[#to_forget + 1] = life_of(id, r) .. ' ' .. id
    redis.pcall('ZREM', K.index, unpack(found_under(id, r)))
    call_for('HDEL', K.work, trail_fields(id, r.entries))
    forget_versions(id, r)
    fields[#fields + 1] = id
    for _, name in ipairs({ 'item', 'snapshot', 'error', 'beat', 'forks', 'a0', 'a1', 'a2' }) do
      fields[#fields + 1] = id .. ' ' .. name
    end
    if is_key_of(id, r.key) then keys[#keys + 1] = r.key end
  end
  call_for('ZREM', K.created, ids)
  call_for('HDEL', K.work, fields)
  redis.pcall('ZADD', K.forgetting, unpack(to_forget))
  call_for('HDEL', K.key, keys)
end
