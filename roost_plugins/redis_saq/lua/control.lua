-- Do to a work item what a person wants, if that fits how it stands; to drop it is drop.lua's.
-- KEYS: work ready sleeping retry_wait running blocked held lines failed newer seq events idle waiting paused done cancelled halted index
-- USES: record trail halts line acts resources settle moving
-- ARGV: id cancel|pause|resume|retry|bury request-id if-state|'' if-fence|'' actor
--       delay-ms max-attempts|'' deadline-ms|'' max-steps|'', of which only a retry looks at these four
--       life|'': when it was created, if another with the same id is not meant
-- Result: 'missing' | 'newer' | 'corrupt' | 'outcome state version wish|-'; the outcome is done, requested, already,
--   unfit, late or changed

-- The whole table: what becomes of which verb where. What is not there does not fit.
local FITS = {
  waiting_its_turn = { cancel = 'done', pause = 'done', resume = 'already', retry = 'already', bury = 'done' },
  paused = { cancel = 'done', pause = 'already', resume = 'done', bury = 'done' },
  running = { cancel = 'requested', pause = 'requested', resume = 'already', retry = 'already', bury = 'requested' },
  ['running cancel'] = { cancel = 'already' },
  ['running pause'] = { cancel = 'requested', pause = 'already', resume = 'done', retry = 'already', bury = 'requested' },
  ['running bury'] = { bury = 'already' },
  done = {},
  failed = { retry = 'done', bury = 'already' },
  cancelled = { cancel = 'already', retry = 'done' },
}

local id, verb, request, actor = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local r, instead = load(id, parse)
if not r then return instead == 'broken' and 'corrupt' or instead or 'missing' end
if ARGV[11] ~= '' and ARGV[11] ~= r.created then return 'missing' end

local function answer(outcome)
  return outcome .. ' ' .. r.state .. ' ' .. r.version .. ' ' .. (r.state == 'running' and r.wish or '-')
end

-- What an older Roost has given back, although people wanted otherwise.
local function catch_up()
  local wish = taken_wish(r)
  if FITS[r.state] or not (is_final(wish) or wish == 'pause') then return end
  local due, was_in_line = leave_place(id, r)
  obeyed(id, r, wish, due)
  save(id, r)
  if was_in_line then pass_on(r) end
end

-- Put what is paused back where it was.
local function put_back_where_it_was()
  local paused = acts_of(r)[1]
  local was = paused and paused.from or 'queued'
  redis.call('ZREM', K.paused, id)
  if was == 'sleeping' or was == 'retry_wait' then
    lay_down(id, r, was, string.match(paused.due, '^%d+$') or now)
  elseif was == 'waiting' then
    r.state = was
    redis.call('ZADD', K.waiting, now, id)
  else
    stand_in_line(id, r)
  end
end

-- Put what has ended back into the line, as if no step had failed.
local function begin_anew()
  redis.call('ZREM', places_by_id()[r.state], id)
  as_if_none_had_failed(id, r)
  if ARGV[8] ~= '' then r.max_attempts = ARGV[8] end
  if ARGV[9] ~= '' then r.deadline = ARGV[9] end
  if ARGV[10] ~= '' then r.max_steps = ARGV[10] end
  r.seq = whole(sound_seq(redis.pcall('INCR', K.seq), 1))
  if ARGV[7] ~= '0' then lay_down(id, r, 'sleeping', due_after(r, ARGV[7])) else stand_in_line(id, r) end
end

if r.wish ~= '-' and r.state ~= 'running' then catch_up() end

local acts, labels, others = acts_of(r)
local before = answer_before(acts, request)
if before then return before end
if (ARGV[4] ~= '' and ARGV[4] ~= r.state) or (ARGV[5] ~= '' and ARGV[5] ~= r.fence) then return answer('changed') end
local is_asked = r.state == 'running' and r.wish ~= '-' and r.wish ~= 'halt'
local fits = is_asked and (FITS['running ' .. r.wish] or {}) or FITS[r.state] or FITS.waiting_its_turn
local outcome = fits[verb] or 'unfit'
if verb == 'retry' and outcome == 'done' then
  local deadline = ARGV[9] ~= '' and ARGV[9] or r.deadline
  if deadline ~= '0' and is_past(deadline) then return answer('late') end
end
if outcome ~= 'done' and outcome ~= 'requested' then return answer(outcome) end

local from, due, was_in_line, at = r.state, '-', false, nil
if outcome == 'requested' then
  r.wish = verb
  local data = told_of(actor, from)
  if verb == 'cancel' then
    at = event('cancel_requested', id, r, data)
  elseif verb == 'pause' then
    at = event('pause_requested', id, r, data)
  else
    at = event('bury_requested', id, r, data)
  end
  if is_final(verb) then
    -- An older Roost knows no wishes; it finds that the lease is not its own any more.
    if string.byte(r.token) ~= 33 then r.token = '!' .. r.token end
    -- The worker renews at once, and so hears of it; an older one takes it for a wake-up.
    redis.call('PUBLISH', string.match(KEYS[1], '^.-}') .. ':wake:' .. r.worker, '!')
  end
elseif verb == 'resume' then
  if from == 'running' then
    r.wish = is_halted(r.engine) and 'halt' or '-'
  else
    put_back_where_it_was()
  end
  at = event('resumed', id, r, told_of(actor, from))
elseif verb == 'retry' then
  begin_anew()
  at = event('retried', id, r, told_of(actor, from))
else
  due, was_in_line = leave_place(id, r)
  at = verb == 'pause' and put_to_rest(id, r, actor) or end_by(verb, id, r, actor)
end
r.updated = now
table.insert(acts, 1, { request = request, outcome = outcome, verb = verb, from = from, state = r.state,
  version = r.version, at = at, confirmed = outcome == 'done' and at or '-', confirmed_version = r.version, due = due,
  actor = actor })
set_acts(r, acts, labels, others)
save(id, r)
if was_in_line then pass_on(r) end
if now % 64 == 0 then
  trim_events()
  trim_bytes()
end
return answer(outcome)
