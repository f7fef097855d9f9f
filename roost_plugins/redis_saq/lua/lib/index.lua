-- Shared by the scripts that change what work is found by.
-- USES: record show
--
-- `index` is a sorted set by name. A work item is stored in it as
--   "e <engine> <id>"         as long as there is a record of it
--   "l <key>=<value> <id>"    for each of its labels, which are in the seventh line of the record
--   "f <fingerprint> <id>"    as long as it is a dead letter
--   "r <fingerprint> <id>"    as long as it has an error, and is none
-- So there are as many engines in it as members of `created`, and as many dead letters as in `failed`: if not, an
-- older Roost, which does not know it, has enqueued, buried or removed work. Then it is not asked, until a repair
-- has completed it. A member that its record does not agree with counts for nothing; purge.lua takes such out.
--
-- Work continues without it if it is damaged.

-- Seldom.
-- What errors that are alike have in common; roost_core/query/fingerprints.py does the same.
local function fingerprint(error)
  local kind = string.match(error, '"kind":"([^"\\]*)"') or ''
  local type_name = string.match(error, '"error_type":"([^"\\]*)"') or ''
  local from, message = select(2, string.find(error, '"message":"', 1, true)), ''
  if from then
    local stop = string.find(error, '","', from + 1, true) or string.find(error, '"}', from + 1, true)
    message = string.sub(error, from + 1, (stop or #error + 1) - 1)
  end
  message = string.gsub(string.sub(message, 1, 400), '[0-9A-Za-z_]+', function(run)
    if string.find(run, '[0-9]') then return '#' end
  end)
  return string.sub(redis.sha1hex(kind .. ' ' .. type_name .. ' ' .. string.sub(message, 1, 80)), 1, 12)
end

-- Seldom.
-- The labels of a record, separated by spaces.
local function labels_of(r)
  return string.match(r.tail, '^\n([^\n]*)') or ''
end

-- Seldom.
-- Under what a work item is found besides its error.
local function index_members(id, engine, labels)
  local members = { 'e ' .. engine .. ' ' .. id }
  for label in string.gmatch(labels, '[^ ]+') do members[#members + 1] = 'l ' .. label .. ' ' .. id end
  return members
end

-- Seldom.
local function error_member(id, r, error)
  return (r.state == 'failed' and 'f ' or 'r ') .. fingerprint(error) .. ' ' .. id
end

-- Seldom.
-- That of the error that it has, or nil. A dead letter always has one, also if its error is lost.
local function member_of_error(id, r)
  local error = (r.has_error == '1' or r.state == 'failed') and redis.call('HGET', K.work, id .. ' error')
  if error or r.state == 'failed' then return error_member(id, r, error or '') end
end

-- Seldom.
-- The engine of a broken record, which may still be read there, or in the item.
local function engine_of_broken(id, raw)
  local item = redis.call('HGET', K.work, id .. ' item') or ''
  return engine_of(raw) or string.match(item, '"engine":"([!-~]-)"') or '?'
end

-- Seldom.
-- The error that is stored with a work item is about to go.
local function forget_error(id)
  local error = redis.call('HGET', K.work, id .. ' error')
  local member = fingerprint(error or '') .. ' ' .. id
  redis.pcall('ZREM', K.index, 'f ' .. member, 'r ' .. member)
end

-- Seldom.
-- Whether a member of the index agrees with the record of its work item, if that can be read.
local function is_indexed_rightly(member)
  local kind, what, id = string.match(member, '^([elfr]) ([!-~]+) ([^ ]*)$')
  local raw = id and redis.call('HGET', K.work, id)
  if not raw then return false end
  local r = parse(raw)
  if not r then return kind ~= 'e' or newer_layout(raw) ~= nil or what == engine_of_broken(id, raw) end
  if kind == 'e' then return what == r.engine end
  if kind == 'l' then return string.find(' ' .. labels_of(r) .. ' ', ' ' .. what .. ' ', 1, true) ~= nil end
  return member == member_of_error(id, r)
end

-- Seldom.
-- Take what no record agrees with out of a part of the index: another part each minute. It is what an older Roost has
-- left behind.
local function sweep_index(count)
  local size = redis.pcall('ZCARD', K.index)
  if type(size) ~= 'number' or size == 0 then return end
  local first = math.floor(now / 60000) % math.ceil(size / count) * count
  local wrong = {}
  for _, member in ipairs(redis.call('ZRANGE', K.index, whole(first), whole(first + count - 1))) do
    if not is_indexed_rightly(member) then wrong[#wrong + 1] = member end
  end
  call_for('ZREM', K.index, wrong)
end
