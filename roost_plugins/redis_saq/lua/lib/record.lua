-- Shared by every script that writes: the clock, the record of a work item, events.
--
-- A whole work item is in one hash, `work`, so that one command reads or writes it: its record in
-- the field <id>, and encoded bytes, which no script inspects, in "<id> item", "<id> snapshot",
-- "<id> error" and "<id> beat" (an engine's newest heartbeat). Other fields of it: trail.lua,
-- history.lua, past.lua and holder.lua.
--
-- A record is a string, because Lua and Redis are fastest with strings: it is parsed and rebuilt at
-- every transition, and most of its values are passed on unchanged. Parsing costs by the character,
-- so what a step changes comes first, and the most frequent script leaves the rest unparsed. The
-- table in record/fields.py has the fields, their order and what they mean; F.head and the like are
-- replaced by lists made from it (record/lua.py):
--
--   line 1  layout, and what changes with each step
--   line 2  the label of the newest step
--   line 3  fence, worker and so on
--   line 4  resources, separated by spaces
--   line 5  idempotency key
--   line 6  answers: of the first lease, once that was given back, its last, as ";token commit-id answer"; of later ones
--           they are in fields of their own (holder.lua)
--
-- Words are separated by single spaces and contain none. '-' means no text, '0' no number or no,
-- '1' yes.
--
-- layout: the number of this description. An older and a newer Roost can share a queue. A record of
-- a newer layout is neither changed nor buried: it is left for a worker that knows it (newer.lua).
-- Every future layout begins with layout, state and engine, so that an older Roost can read that
-- much. What a Roost of the same layout adds goes to the end of line 1 or 3, or into lines after
-- the sixth; one that does not know it keeps it as it is.
--
-- All values are strings: converting a number to a string is slow in Lua, so only computed values
-- are numbers. Lua computes with strings of numbers, but compares them as strings.
--
-- When a lease expires and when work is due are stored only as scores in `running`, `sleeping` and
-- `retry_wait`, so that no two places can disagree. Times are milliseconds by this server's clock.

local LAYOUT = 2
-- Work that was set aside for a worker that knows this number is for this one, too: 3 is the schema of a snapshot
-- that changes follow (history.lua), 4 that of one with texts that are kept elsewhere. So the next layout is 5.
local READS = 4

local clock = redis.call('TIME')
local now = clock[1] .. string.sub('00000' .. clock[2], -6, -4)

-- Seldom.
-- A record of layout 1 as one of this layout, or nil if it is not one. Deaths were then counted without blame.
local function upgraded(raw)
  local before, attempts, recoveries, after, step, standing, rest = string.match(raw,
    '^1 (%l[%l_]* [!-~]+ %d+ [!-~]+ [!-~]+ %d+ %d+) (%d+) (%d+) ([01] [01] %d+[^\n]*)\n([^\n]*)\n'
    .. '(%d+ [!-~]+ %-?%d+ %d+ %d+ %d+ [!-~]+ %d+ %d+ [!-~]+)(.*)$')
  if not rest then return nil end
  local blame = recoveries == '0' and '-' or '0,' .. recoveries .. ',0,0,0,-'
  return '2 ' .. before .. ' ' .. attempts .. ' ' .. blame .. ' 0 0 ' .. after .. '\n' .. step .. '\n'
    .. standing .. ' 0 0 0' .. rest
end

-- Parse a record's first two lines, and leave the rest unparsed. Return nil if they are broken, or
-- of a newer layout.
local function parse_head(raw)
  local F.head, rest_at = string.match(raw, F.head_pattern)
  if not rest_at then
    raw = upgraded(raw)
    return raw and parse_head(raw)
  end
  F.head_absent
  return { F.head_fields, rest = string.sub(raw, rest_at) }
end

-- Seldom.
local function is_state(word)
  return string.find(' queued sleeping running retry_wait blocked waiting paused done failed cancelled ',
    ' ' .. word .. ' ', 1, true)
end

-- Seldom.
-- Whether it is a valid blame. No bound on deaths has more than ten digits.
local function is_blame(word)
  return #word <= 240 and string.find(word,
    '^%d%d?%d?%d?%d?%d?%d?%d?%d?%d?,%d%d?%d?%d?%d?%d?%d?%d?%d?%d?,[012],[012],%d+,[!-~]+$')
end

-- Parse a record. Return nil if it is broken or of another layout. All at once, because growing a
-- table costs as much as what is put into it.
local function parse(raw)
  local F.head, rest_at = string.match(raw, F.head_pattern)
  if not rest_at then
    raw = upgraded(raw)
    return raw and parse(raw)
  end
  local F.rest, answers_at = string.match(raw, F.rest_pattern, rest_at)
  if not answers_at then return nil end
  F.head_absent
  F.rest_absent
  -- Its state has to be valid, and none of its numbers longer than a time: a damaged one would
  -- break readers. Written out, because a table would be made in every call.
  local is_sound = F.is_sound
  if not is_sound then return nil end
  -- The answers are long, and a pattern's match costs by the character.
  local tail_at = string.find(raw, '\n', answers_at, true)
  return {
    F.head_fields,
    F.rest_fields,
    answers = string.sub(raw, answers_at, tail_at and tail_at - 1),
    tail = tail_at and string.sub(raw, tail_at) or '',
  }
end

-- Seldom.
-- The layout of a record that is newer than this description, or nil.
local function newer_layout(raw)
  local layout = tonumber(string.match(raw, '^(%d%d?%d?) %l[%l_]* [!-~]+ '))
  if layout and layout > LAYOUT then return layout end
end

-- Build a record; the rest stays as it is if it was not parsed. At once, because the server hashes each string that is
-- made on the way, every byte of it.
local function text_of(r)
  if not r.fence then return F.head_text_of_r .. r.rest end
  return F.head_text_of_r .. F.rest_text_of_r .. r.answers .. r.tail
end

-- Seldom.
-- Return the record as parsed by `parser`, or nil; and what is there instead: 'newer', with its layout, 'broken',
-- or nil for nothing.
local function load(id, parser)
  local raw = redis.call('HGET', K.work, id)
  if not raw then return nil end
  local r = parser(raw)
  if r then return r end
  local layout = newer_layout(raw)
  return nil, layout and 'newer' or 'broken', layout
end

-- Seldom.
-- Whether what is stored under an id was stored by the very request that has this nonce, whose answer was lost
-- then. A nonce stands nowhere else in a record, of whatever layout that is by now.
local function is_stored_by(nonce, id)
  local raw = redis.call('HGET', K.work, id)
  return raw and string.find(raw, ' ' .. nonce, 1, true)
end

-- Seldom.
-- The idempotency key of a record that does not decode, if its lines are there, and it is not empty.
local function key_line(raw)
  return string.match(raw, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n([^\n]+)')
end

-- Seldom.
-- A whole number as a string. What is done for each work item formats it itself.
local function whole(number)
  return string.format('%d', number)
end

-- Seldom.
-- Whether a deadline has passed that is not '0'.
local function is_past(deadline)
  return tonumber(deadline) <= tonumber(now)
end

-- A string without control characters as JSON.
local function quoted(text)
  if string.find(text, '["\\]') then return cjson.encode(text) end
  return '"' .. text .. '"'
end

-- One field, because an entry's fields cost more than its bytes:
-- "kind id engine version state data", data being JSON. Return its id.
-- Work continues without it if the stream is damaged.
local function event(kind, id, r, data)
  local at = redis.pcall('XADD', K.events, '*', 'event', kind .. ' ' .. id .. ' ' .. r.engine .. ' ' .. r.version
    .. ' ' .. r.state .. ' ' .. data)
  return type(at) == 'string' and at or now .. '-0'
end

-- The number of events is bounded, approximately. The scripts that work depends on see to that now
-- and then: trimming at each event costs a quarter of writing it.
local function trim_events()
  redis.pcall('XTRIM', K.events, 'MAXLEN', '~', EVENTS_KEPT)
end

-- Seldom.
-- They are bounded in bytes, too, by dropping the oldest. Measuring visits each node of the stream, of some KB, so
-- it is done even less often; where it is not permitted, the number is the only bound.
local function trim_bytes()
  for _ = 1, 8 do
    local used = redis.pcall('MEMORY', 'USAGE', K.events, 'SAMPLES', '0')
    if type(used) ~= 'number' or used <= EVENTS_BYTES then return end
    -- Newer ones may be larger than older ones: then once is not enough.
    local kept = redis.pcall('XLEN', K.events)
    if type(kept) ~= 'number' then return end
    redis.pcall('XTRIM', K.events, 'MAXLEN', '~', math.floor(kept * 0.9 * EVENTS_BYTES / used))
  end
end

-- Seldom.
-- Add a field of a hash, and its value, to a list of arguments.
local function push(fields, name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end

-- Add a field of the work item's hash, to be stored with its record.
local function add_field(r, name, value)
  local fields = r.trail
  if fields then
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  else
    r.trail = { name, value }
  end
end

-- Call a command once with many arguments, if there are any.
local function call_for(command, key, arguments)
  if #arguments > 0 then redis.call(command, key, unpack(arguments)) end
end
