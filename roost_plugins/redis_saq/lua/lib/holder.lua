-- Shared by the scripts that a lease's holder calls: is it the holder, and what was its last
-- answer. An answer is a string, "state version attempts at due": an array costs several times as
-- much.
-- USES: record

-- Answers are remembered for the current lease and for the last three that have ended, each its
-- last, so that a caller whose reply was lost gets the same one again, even after others have had
-- the work. Those of ended leases are in the fields "<id> a0" to "<id> a2", by the lease's fence modulo 3,
-- as ";token commit-id answer": each is written once, and no claim has to read it. That of the first lease stays in
-- the record, because a field takes more memory, and most work that sleeps for long has had one. An earlier Roost has
-- the last three there, newest first, and adds to them beside this one.

-- Seldom.
-- The answer to the newest commit under the current lease.
local function running_answer(version, committed)
  return 'running ' .. version .. ' 0 ' .. committed .. ' -1'
end

-- Seldom.
-- The answers in the unparsed rest of a record, and nothing else of it: what people have written there may look like
-- one.
local function answers_in(rest)
  return string.match(rest, '^[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)') or ''
end

-- Seldom.
-- The answer to the last commit of a lease that has ended. `answers`: those in the record.
local function remembered(id, answers, token, commit_id)
  local asked = ';' .. token .. ' ' .. commit_id .. ' '
  local stored = redis.call('HMGET', K.work, id .. ' a0', id .. ' a1', id .. ' a2')
  for _, one in ipairs({ answers, unpack(stored) }) do
    local _, before = string.find(one or '', asked, 1, true)
    if before then return string.match(one, '^[^;]+', before + 1) end
  end
end

-- Seldom.
-- Put the answers in the record beside it: that of the lease before, or all that an earlier Roost has kept. Either way
-- the field of that lease is not in use.
local function move_answers(id, r)
  add_field(r, string.format('%s a%d', id, (r.fence - 1) % 3), r.answers)
  r.answers = ''
end

-- The answer of a lease that ends, to be stored with the record.
local function remember(id, r, token, commit_id, answer)
  answer = ';' .. token .. ' ' .. commit_id .. ' ' .. answer
  if r.fence == '1' then
    r.answers = answer
    return
  end
  local slot = r.fence % 3
  add_field(r, id .. (slot == 0 and ' a0' or slot == 1 and ' a1' or ' a2'), answer)
  if r.answers ~= '' then move_answers(id, r) end
end

-- Seldom.
-- Whether it is the token of a current lease that people want ended (acts.lua).
local function is_marked(r, token)
  return r.token == '!' .. token
end

-- The record of a claimed item whose lease has this token, or an answer to give instead.
local function held_by(id, token, commit_id)
  local raw = redis.call('HGET', K.work, id)
  if not raw then return nil, 'lost' end
  local r = parse(raw)
  if not r then return nil, newer_layout(raw) and 'newer' or 'corrupt' end
  -- No two leases have the same token, so this one has not ended yet.
  local is_current = (r.token == token or is_marked(r, token)) and token ~= '-'
  if is_current and r.last ~= commit_id then return r, nil end
  local answer = is_current and running_answer(r.version, r.committed) or remembered(id, r.answers, token, commit_id)
  return nil, answer and 'ok ' .. answer .. ' 0' or 'lost'
end
