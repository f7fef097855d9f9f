-- Shared by the scripts with which a version comes from a person: a work item that begins with another's history, and
-- one that is put back to a version of its own.
-- USES: record trail newest
--
-- The field "<id> forks" has a line for each work item that began with a version of this one, newest first, at most a
-- hundred: "id version ms". The item of the other says where it began (roost_core/models/work.py).

local MOST_FORKS = 100

-- Seldom.
-- Make a snapshot the newest version. `who` is one word, in place of the worker that would have brought it; `back` is
-- the way back to the version before, as lib/history.lua describes it.
local function take_version(id, r, version, snapshot, step, who, back)
  r.version, r.step, r.committed, r.anchor = version, step, now, '0'
  add_field(r, id .. ' snapshot', snapshot)
  add_field(r, version_field(id, version), now .. ' 0 ' .. who .. ' ' .. step .. '\n' .. back)
end

-- Seldom.
-- ARGV from `first`: version snapshot step who back origin origin-version actor (earlier-version entry)...
-- Return the data of the event.
local function take_past(id, r, first)
  local origin, at, actor = ARGV[first + 5], ARGV[first + 6], ARGV[first + 7]
  take_version(id, r, ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3], ARGV[first + 4])
  local oldest = r.version
  -- There may be more than fit into one command.
  local entries = {}
  for i = first + 8, #ARGV, 2 do
    push(entries, version_field(id, ARGV[i]), ARGV[i + 1])
    if ARGV[i] + 0 < oldest + 0 then oldest = ARGV[i] end
    if #entries == 1000 then
      redis.call('HSET', K.work, unpack(entries))
      entries = {}
    end
  end
  call_for('HSET', K.work, entries)
  r.oldest = 'v' .. oldest
  local other = load(origin, parse)
  if other then
    local lines = { id .. ' ' .. at .. ' ' .. now }
    for line in string.gmatch(redis.call('HGET', K.work, origin .. ' forks') or '', '[^\n]+') do
      if #lines < MOST_FORKS then lines[#lines + 1] = line end
    end
    noted('forked', origin, other, '{"work_id":' .. quoted(id) .. ',"from_version":' .. at .. ',' .. string.sub(actor, 2))
    add_field(other, origin .. ' forks', table.concat(lines, '\n'))
    save(origin, other)
  end
  return '{"forked_from":' .. quoted(origin) .. ',"from_version":' .. at .. ',' .. string.sub(actor, 2)
end
