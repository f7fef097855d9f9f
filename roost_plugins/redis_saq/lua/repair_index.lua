-- A step of the repair: check some members of an index, and remove those without a record.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer events idle waiting paused done cancelled index halted place
-- USES: record index line resources settle inspect
-- ARGV: dry(0|1) ttl-ms cursor count name-of-the-index
-- Result: {cursor, {finding...}}

local findings = {}
local found = finder(findings)
local ttl, name = tonumber(ARGV[2]), ARGV[5]
local is_by_id = not string.find(' ready blocked newer lines index ', ' ' .. name .. ' ', 1, true)

local function stands_in_line(id, member, r)
  if r.state ~= 'queued' and r.state ~= 'blocked' then return false end
  for _, own in ipairs(standings(id, r)) do
    if own == member then return true end
  end
  return false
end

-- Whether a member is where its record says; what a newer Roost wrote is left alone.
local function is_right(id, member, raw)
  if name == 'index' then return is_indexed_rightly(member) end
  local r = parse(raw)
  if not r then return newer_layout(raw) or name == 'failed' or name == 'created' end
  if name == 'created' then return true end
  if name == 'lines' then return stands_in_line(id, member, r) end
  if name == 'newer' then return place_name(r.state) == string.match(member, '^[^ ]+') end
  if name ~= place_name(r.state) then return false end
  if name == 'ready' then return member == ready_member(id, r) end
  if name == 'blocked' then return member == ' ' .. in_line(id, r) end
  return true
end

local cursor, members = step_of('ZSCAN', K.place, ARGV[3], ARGV[4])
for _, member in ipairs(members) do
  local id = is_by_id and member or string.match(member, '([^ ]*)$')
  local raw = redis.call('HGET', K.work, id)
  if not raw then
    if found('gone', name, id) then redis.call('ZREM', K.place, member) end
  elseif not is_right(id, member, raw) and found('surplus', name, id) then
    redis.call('ZREM', K.place, member)
    -- What the index lacks of it the walk over the work has put there.
    local r = name ~= 'index' and parse(raw)
    if r then
      settle(id, r, ttl)
      if name == 'lines' then pass_on(r) end
    elseif name ~= 'index' and not newer_layout(raw) and not redis.call('ZSCORE', K.failed, id) then
      quarantine(id)
    end
  elseif name == 'index' and tonumber(redis.call('ZSCORE', K.place, member) or 0) ~= 0 and found('score', name, id) then
    redis.call('ZADD', K.place, '0', member)
  end
end
return { cursor, findings }
