-- Look at a portion of an index, and show what may be wanted.
-- KEYS: work sleeping retry_wait running place
-- USES: show
-- ARGV: rank|lex first-rank|min reverse(0|1)|max look limit "state state ..."|'' "engine engine ..."|'' "key=value ..."|'' full|thin|tally text|''
--   labels: all of them must be there, but a label that only contains one counts, too: the caller looks again
--   full: rows as lib/show.lua lists them; thin: without due times and snapshots, and of item and error only what
--   stands before payload and traceback; tally: no rows, but how many there are in each state
--   text: in lower case, letters and digits: what has none of it in record, title or error is left out; what may have
--   it in another spelling is not: the caller looks again
-- Result: {next|-1, looked-at, {row...}, {next...}}: where to continue, after all of them and after each row: a rank, or
--   a min for the next call; of a tally {next|-1, looked-at, {state, number, ...}, {}}

local way, look, limit, is_thin = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[9] == 'thin'
local is_tally, text = ARGV[9] == 'tally', ARGV[10]
local states, engines = ' ' .. ARGV[6] .. ' ', ' ' .. ARGV[7] .. ' '
-- What a call may cost in bytes, about.
local MOST_BYTES = 4194304
local CHUNK = 200

local function members_from(at, count)
  if way == 'lex' then return redis.call('ZRANGEBYLEX', K.place, at, ARGV[3], 'LIMIT', '0', count) end
  return redis.call(ARGV[3] == '1' and 'ZREVRANGE' or 'ZRANGE', K.place, at, at + count - 1)
end

local labels = {}
for label in string.gmatch(ARGV[8], '[^ ]+') do labels[#labels + 1] = label end

local function is_wanted(raw)
  if not raw then return false end
  local state, engine = string.match(raw, '^%d+ (%l[%l_]*) ([!-~]+) ')
  -- A broken record has neither.
  if not state then
    return ARGV[8] == '' and (ARGV[6] == '' and ARGV[7] == '' or string.find(states, ' failed ', 1, true) ~= nil)
  end
  for _, label in ipairs(labels) do
    if not string.find(raw, label, 1, true) then return false end
  end
  return (ARGV[6] == '' or string.find(states, ' ' .. state .. ' ', 1, true))
    and (ARGV[7] == '' or string.find(engines, ' ' .. engine .. ' ', 1, true))
end

-- Whether a text may be in one of these. Beyond ASCII, and behind a backslash, letters have several spellings.
local function may_have(...)
  for _, one in ipairs({ ... }) do
    if one and (string.find(one, '[\128-\255\\]') or string.find(string.lower(one), text, 1, true)) then return true end
  end
  return false
end

local counts = {}
local function tallied()
  local found = {}
  for state, number in pairs(counts) do
    found[#found + 1] = state
    found[#found + 1] = number
  end
  return found
end

local at, looked, rows, ats, bytes = ARGV[2], 0, {}, {}, 0
if way == 'rank' then at = tonumber(at) end
while looked < look do
  local members = members_from(at, math.min(CHUNK, look - looked))
  if #members == 0 then return { -1, looked, is_tally and tallied() or rows, ats } end
  local ids = {}
  -- In the sets ordered by name the id is the last word of a member.
  for i, member in ipairs(members) do ids[i] = string.match(member, '([^ ]*)$') end
  local records = redis.call('HMGET', K.work, unpack(ids))
  for i, member in ipairs(members) do
    looked = looked + 1
    if way == 'lex' then at = '(' .. member else at = at + 1 end
    local wanted = is_wanted(records[i])
    if wanted and is_tally then
      local state = string.match(records[i], '^%d+ (%l[%l_]*) ') or 'failed'
      counts[state] = (counts[state] or 0) + 1
    elseif wanted then
      local id = ids[i]
      local found = redis.call('HMGET', K.work, id .. ' item', id .. ' error')
      bytes = bytes + cost_of({ '', found[1], found[2] })
      if is_thin then found[1] = without_payload(found[1]) end
      if text == '' or may_have(records[i], id, found[1], found[2]) then
        if is_thin then
          found[2] = without_traceback(found[2])
        else
          found[1] = listed(found[1])
        end
        rows[#rows + 1] = shown(id, { records[i], found[1], found[2] }, is_thin)
        ats[#rows] = at
      end
      if #rows >= limit or bytes > MOST_BYTES then return { at, looked, rows, ats } end
    end
  end
end
return { at, looked, is_tally and tallied() or rows, ats }
