-- Shared by every script that writes: the clock, the record of a work item, events.
--
-- All of a work item stands in one hash, `work`, so that one command reads or writes it: its record
-- in the field <id>, and encoded bytes, which no script looks into, in "<id> item",
-- "<id> snapshot", "<id> error" and "<id> beat" (an engine's newest heartbeat).
--
-- A record is a text, because that is what Lua and Redis are fastest with: it is taken apart and put
-- together at every transition, and most of its values are handed on as they are. Taking it apart
-- costs by the character, so what a step changes comes first, and the most frequent script leaves the
-- rest in one piece:
--
--   line 1  version token last updated committed attempts recoveries has_error has_beat deadline engine
--   line 2  the label of the newest step
--   line 3  state fence worker priority seq created started blocked_on max_attempts max_recoveries nonce
--   line 4  resources, separated by spaces
--   line 5  idempotency key
--   line 6  answers: of the last three leases that were given back, newest first, the last answer each,
--           as ";token commit-id answer"
--
-- Words are separated by single spaces and hold none. '-' stands for no text, '0' for no number or no,
-- '1' for yes. last: the id of the newest commit under the lease that is current.
--
-- All values are texts: making a text of a number is slow in Lua, so only what is computed becomes one.
-- Lua computes with texts of numbers, but compares them as texts.
--
-- When a lease expires and when work is due stand only as scores in `running`, `sleeping` and
-- `retry_wait`, so that no two places can disagree. Times are milliseconds by this server's clock.

local clock = redis.call('TIME')
local now = clock[1] .. string.sub('00000' .. clock[2], -6, -4)

-- Take a record's first two lines apart, the rest in one piece. Return nil if they are broken.
local function parse_head(raw)
  local version, token, last, updated, committed, attempts, recoveries, has_error, has_beat, deadline,
    engine, step_at = string.match(raw,
    '^(%d+) ([^ \n]+) ([^ \n]+) (%d+) (%d+) (%d+) (%d+) ([01]) ([01]) (%d+) ([^ \n]+)\n()')
  local stop = step_at and string.find(raw, '\n', step_at, true)
  if not stop then return nil end
  return {
    version = version, token = token, last = last, updated = updated, committed = committed,
    attempts = attempts, recoveries = recoveries, has_error = has_error, has_beat = has_beat,
    deadline = deadline, engine = engine,
    step = string.sub(raw, step_at, stop - 1), rest = string.sub(raw, stop + 1),
  }
end

-- Take a record apart. Return nil if it is broken.
local function parse(raw)
  local r = parse_head(raw)
  if not r then return nil end
  local answers_at
  r.state, r.fence, r.worker, r.priority, r.seq, r.created, r.started, r.blocked_on, r.max_attempts,
    r.max_recoveries, r.nonce, r.resources, r.key, answers_at = string.match(r.rest,
    '^(%l[%l_]*) (%d+) ([^ \n]+) (%-?%d+) (%d+) (%d+) (%d+) ([^ \n]+) (%d+) (%d+) ([^ \n]+)\n([^\n]*)\n([^\n]*)\n()')
  if not answers_at then return nil end
  r.answers = string.sub(r.rest, answers_at)
  return r
end

-- Put a record together; the rest stays as it is if it was not taken apart.
local function text_of(r)
  local rest = r.rest
  if r.state then
    rest = r.state .. ' ' .. r.fence .. ' ' .. r.worker .. ' ' .. r.priority .. ' ' .. r.seq .. ' '
      .. r.created .. ' ' .. r.started .. ' ' .. r.blocked_on .. ' ' .. r.max_attempts .. ' '
      .. r.max_recoveries .. ' ' .. r.nonce .. '\n' .. r.resources .. '\n' .. r.key .. '\n' .. r.answers
  end
  return r.version .. ' ' .. r.token .. ' ' .. r.last .. ' ' .. r.updated .. ' ' .. r.committed .. ' '
    .. r.attempts .. ' ' .. r.recoveries .. ' ' .. r.has_error .. ' ' .. r.has_beat .. ' ' .. r.deadline
    .. ' ' .. r.engine .. '\n' .. r.step .. '\n' .. rest
end

-- Return the record as `parser` takes it apart, or nil; and whether there is one that is broken.
local function load(id, parser)
  local raw = redis.call('HGET', K.work, id)
  if not raw then return nil, false end
  local r = parser(raw)
  return r, not r
end

local function save(id, r)
  redis.call('HSET', K.work, id, text_of(r))
end

-- The text of a whole number.
local function whole(number)
  return string.format('%d', number)
end

local function is_past(deadline)
  return deadline ~= '0' and tonumber(deadline) <= tonumber(now)
end

-- A text without control characters as JSON.
local function quoted(text)
  if string.find(text, '"', 1, true) or string.find(text, '\\', 1, true) then return cjson.encode(text) end
  return '"' .. text .. '"'
end

-- One field, because an entry's fields cost more than its bytes:
-- "kind id engine version state data", data being JSON.
local function event(kind, id, r, data)
  redis.call('XADD', K.events, '*', 'event', kind .. ' ' .. id .. ' ' .. r.engine .. ' ' .. r.version
    .. ' ' .. (r.state or 'running') .. ' ' .. data)
end

-- Events are kept in a bounded number, about. The scripts that work cannot go on without see to
-- that, now and then: looking at each event costs a quarter of writing it.
local function trim_events()
  redis.call('XTRIM', K.events, 'MAXLEN', '~', EVENTS_KEPT)
end

-- Call a command once for many arguments, if there are any.
local function call_for(command, key, arguments)
  if #arguments > 0 then redis.call(command, key, unpack(arguments)) end
end
