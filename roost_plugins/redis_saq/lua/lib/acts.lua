-- Shared by the scripts that do what people want: what was done to a work item, and what its running step is
-- asked for.
-- USES: record release
--
-- Behind its six lines a record may have a tail. Its first line has the labels; then comes a line for each of the
-- last eight acts, newest first:
--
--   request-id outcome verb from state version event-id confirmed-id|- confirmed-version due|- actor
--
--   outcome, state, version   the answer to the request, so that a repeat gets the same
--   verb       one of control.lua, or 'rewind': that one's event is in the trail's other ring, and readers pass it over
--   from       the state before it took effect: so that a paused one goes back there
--   event-id   of its event; confirmed-id: of that which told that it took effect, the same if that was at once
--   due        of what is paused: when it would have been due
--   actor      who did it, with what, and why: JSON, {"who":...}
--
-- They are the trail's ring for what people do: their events are not in the other one, and nothing else pushes them
-- out. Lines that are none stay as they are, behind the acts.
--
-- The word `wish` of the record is what a running step is asked for: 'cancel', 'bury' and 'pause', as the newest act
-- says; 'halt' ends its lease at the next boundary, because its engine is held. It is obeyed when the lease ends;
-- after one that an older Roost has ended, by the next script that meets it. A word that is not known stays.
--
-- With 'cancel' and 'bury' the lease's token is marked by a '!' in front: so an older Roost, which knows of no wishes,
-- refuses its holder, and no step is accepted any more.

-- Seldom.
-- The parts of an act's line, or nil.
local function act_from(line)
  local request, outcome, verb, from, state, version, at, confirmed, confirmed_version, due, actor = string.match(line,
    '^(%S+) (%l+) (%l+) (%l[%l_]*) (%l[%l_]*) (%d+) (%d+%-%d+) (%S+) (%d+) (%S+) ({.+})$')
  if not actor then return nil end
  return { request = request, outcome = outcome, verb = verb, from = from, state = state, version = version,
    at = at, confirmed = confirmed, confirmed_version = confirmed_version, due = due, actor = actor }
end

-- Seldom.
-- The acts of a record, newest first, the labels, and the lines that are neither.
local function acts_of(r)
  local acts, labels, others = {}, nil, {}
  for line in string.gmatch(r.tail, '\n([^\n]*)') do
    local act = labels and act_from(line)
    if not labels then
      labels = line
    elseif act then
      acts[#acts + 1] = act
    else
      others[#others + 1] = line
    end
  end
  return acts, labels or '', others
end

-- Seldom.
local function set_acts(r, acts, labels, others)
  local lines = { '\n' .. labels }
  for i = 1, math.min(#acts, 8) do
    local one = acts[i]
    lines[#lines + 1] = table.concat({ '\n' .. one.request, one.outcome, one.verb, one.from, one.state, one.version,
      one.at, one.confirmed, one.confirmed_version, one.due, one.actor }, ' ')
  end
  for _, line in ipairs(others) do lines[#lines + 1] = '\n' .. line end
  r.tail = table.concat(lines)
end

-- Seldom.
-- The answer that a request has got before, or nil.
local function answer_before(acts, request)
  for _, one in ipairs(acts) do
    if one.request == request then
      return one.outcome .. ' ' .. one.state .. ' ' .. one.version .. ' '
        .. (one.outcome == 'requested' and one.verb or '-')
    end
  end
end

-- Seldom.
-- The data of an act's event, with more in front if there is more.
local function told_of(actor, from, more)
  return '{' .. (more or '') .. '"from":"' .. from .. '",' .. string.sub(actor, 2)
end

-- Seldom.
-- The error of what a person has buried.
local function burial(actor)
  local is_json, by = pcall(cjson.decode, actor)
  local message = 'buried'
  if is_json and type(by) == 'table' then
    if type(by.who) == 'string' then message = message .. ' by ' .. by.who end
    if type(by.reason) == 'string' then message = message .. ': ' .. by.reason end
  end
  return '{"schema":1,"kind":"buried","message":' .. cjson.encode(message) .. '}'
end

-- Seldom.
-- End a work item that stands nowhere any more: it is cancelled, or a dead letter. Return the event's id.
local function end_by(verb, id, r, actor)
  local from = r.state
  r.updated = now
  if verb == 'cancel' then
    r.state, r.ended_by = 'cancelled', 'cancelled'
    redis.call('ZADD', K.cancelled, now, id)
    r.ended_at = event('cancelled', id, r, told_of(actor, from))
  else
    local error = burial(actor)
    r.state, r.ended_by = 'failed', 'dead_lettered'
    redis.call('ZADD', K.failed, now, id)
    note_error(id, r, error)
    r.ended_at = event('dead_lettered', id, r, told_of(actor, from, '"error":' .. error .. ','))
  end
  ended(id)
  return r.ended_at
end

-- Seldom.
-- Put a work item that stands nowhere any more among the paused. Return the event's id.
local function put_to_rest(id, r, actor)
  local from = r.state
  r.state = 'paused'
  r.updated = now
  redis.call('ZADD', K.paused, now, id)
  return event('paused', id, r, told_of(actor, from))
end

-- Seldom.
-- What is wished of a step that ends, and no longer is.
local function taken_wish(r)
  local wish = r.wish
  if wish == 'cancel' or wish == 'bury' or wish == 'pause' or wish == 'halt' then r.wish = '-' end
  r.was_halted = wish == 'halt'
  return wish
end

-- Seldom.
-- Whether a step under this wish ends the work, whatever it brings.
local function is_final(wish)
  return wish == 'cancel' or wish == 'bury'
end

-- Seldom.
-- Do what was wished of a work item. It stands nowhere any more; `r.state` is where it would stand now, and `due`
-- from when on, or '-'. Return false if it is to stand there.
local function obeyed(id, r, wish, due)
  if not is_final(wish) and (wish ~= 'pause' or r.state == 'done' or r.state == 'failed') then return false end
  local acts, labels, others = acts_of(r)
  local act = acts[1]
  if not act or act.verb ~= wish or act.confirmed ~= '-' then
    -- The tail is damaged.
    act = { request = '-', outcome = 'requested', verb = wish, state = 'running', version = r.version, at = now .. '-0',
      actor = '{"who":"?","tool":"?"}' }
    table.insert(acts, 1, act)
  end
  act.from, act.due, act.confirmed_version = r.state, due, r.version
  act.confirmed = is_final(wish) and end_by(wish, id, r, act.actor) or put_to_rest(id, r, act.actor)
  set_acts(r, acts, labels, others)
  return true
end
