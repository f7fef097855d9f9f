-- Shared by the scripts that a lease's holder calls: is it the holder, and what was its last
-- answer. An answer is a string, "state version attempts at due": an array costs several times as
-- much.
-- USES: record

-- Answers are remembered for the current lease and for the last three that have ended, each its
-- last, so that a caller whose reply was lost gets the same one again, even after others have had
-- the work.

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
-- The answer to the last commit of a lease that has ended.
local function remembered(answers, token, commit_id)
  local _, before = string.find(answers, ';' .. token .. ' ' .. commit_id .. ' ', 1, true)
  if before then return string.match(answers, '^[^;]+', before + 1) end
end

local function remember(r, token, commit_id, answer)
  local second = string.find(r.answers, ';', 2, true)
  local third = second and string.find(r.answers, ';', second + 1, true)
  local earlier = third and string.sub(r.answers, 1, third - 1) or r.answers
  r.answers = ';' .. token .. ' ' .. commit_id .. ' ' .. answer .. earlier
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
  local answer = is_current and running_answer(r.version, r.committed) or remembered(r.answers, token, commit_id)
  return nil, answer and 'ok ' .. answer .. ' 0' or 'lost'
end
