-- Shared by the scripts that change work: the history of one work item, kept with it.
-- USES: record
--
-- The event stream is shared, and other work pushes an item's events out of it. So each item keeps
-- its own trail: an entry for each lease, when that ends, and for each event that is neither a
-- commit nor a claim. It is a ring of 160 slots of 100 bytes in the fields "<id> t<slot>"; a longer
-- entry also takes the following slots, which are then empty. The word `entries` of the record is
-- how many slots were written, ever; the next is that modulo 160. So the bound holds without
-- reading anything, and new entries are written with the record.
--
-- An entry is "<id of the event> kind version state data". Data is JSON, which may be cut; of a lease, whose
-- entry has the id of the last event under it, it is "worker ms|- first-version ended-by".
--
-- What people do to a work item has its own ring (acts.lua), so that nothing else pushes it out.

local function add_entry(id, r, at, kind, data)
  local before, count, after = nil, r.entries, nil
  if not count then
    -- The rest was not parsed.
    before, count, after = string.match(r.rest, F.before.entries)
  end
  if not count or #count > 15 then return end
  if #data > 320 then data = string.sub(data, 1, 320) end
  local entry = at .. ' ' .. kind .. ' ' .. r.version .. ' ' .. r.state .. ' ' .. data
  local slot = count + 0
  -- Formatted, because joining a number to a string costs twice as much.
  add_field(r, string.format('%s t%d', id, slot % 160), entry)
  slot = slot + 1
  for _ = 101, #entry, 100 do
    add_field(r, string.format('%s t%d', id, slot % 160), '')
    slot = slot + 1
  end
  count = string.format('%d', slot)
  if before then r.rest = before .. count .. after else r.entries = count end
end

-- Seldom.
-- Write the record and its new entries.
local function save(id, r)
  local fields = r.trail or {}
  r.trail = nil
  redis.call('HSET', K.work, id, text_of(r), unpack(fields))
end

-- Seldom.
-- An event that also goes into the trail, once the record is saved. `brief`: its data there, if that is shorter.
local function noted(kind, id, r, data, brief)
  r.ended_at, r.ended_by = event(kind, id, r, data), kind
  add_entry(id, r, r.ended_at, kind, brief or data)
end

-- Seldom.
-- The events of the engine: ARGV from `first` to `last`.
local function emit(id, r, first, last)
  local bytes = 0
  for i = first, last do
    bytes = bytes + #ARGV[i]
    r.ended_at = event('emitted', id, r, ARGV[i])
    add_entry(id, r, r.ended_at, 'emitted', ARGV[i])
  end
  -- About once for each megabyte of a work item's events: no claim may come for a long time.
  if bytes > 4096 and r.version * bytes % 1048576 < bytes then trim_bytes() end
end

-- Seldom.
-- An error in few bytes: the kind, the type, and the beginning of the message.
local function in_brief(error)
  local kind = string.match(error, '"kind":"([^"\\]*)"') or ''
  local type_name = string.match(error, '"error_type":"([^"\\]*)"')
  local brief = '{"error":{"kind":"' .. string.sub(kind, 1, 40) .. '"'
  if type_name then brief = brief .. ',"error_type":"' .. string.sub(type_name, 1, 60) .. '"' end
  local from = select(2, string.find(error, '"message":"', 1, true))
  if not from then return brief .. '}}' end
  -- A quote in the message follows a backslash, so the message ends here.
  local stop = string.find(error, '","', from + 1, true) or string.find(error, '"}', from + 1, true)
  local message = string.sub(error, from + 1, (stop or #error + 1) - 1)
  if #message > 160 then return brief .. ',"message":"' .. string.sub(message, 1, 160) end
  return brief .. ',"message":"' .. message .. (stop and '"}}' or '')
end

-- The lease that was released, by the event that ended it.
local function note_lease(id, r)
  if not r.ended_at or not r.holder then return end
  -- Up to the event's own time, which may be a millisecond later: readers count back from there.
  local last_ms = string.match(r.ended_at, '^%d+') or now
  local lasted = r.since == '0' and '-' or string.format('%d', last_ms - r.since)
  add_entry(id, r, r.ended_at, 'leased', r.holder .. ' ' .. lasted .. ' ' .. r.base .. ' ' .. r.ended_by)
end

-- The fields of a work item's trail, the oldest first, if this many slots were written; with nil,
-- all possible ones.
local function trail_fields(id, entries)
  local fields = {}
  local written = tonumber(entries) or 160
  for i = math.max(0, written - 160), written - 1 do
    fields[#fields + 1] = string.format('%s t%d', id, i % 160)
  end
  return fields
end
