-- Shared by the scripts that show work items to people.
-- USES: record

-- A score, or false for none, even if the index is damaged.
local function score_in(key, id)
  local score = redis.pcall('ZSCORE', key, id)
  return type(score) == 'string' and score
end

-- A row: {id, record|layout|nil, due|nil, expires|nil, item|nil, error|nil, nil, nil, tail|nil}. A record is nil if
-- it is broken; one of a newer layout is {layout state engine}; and any other has, in the table's
-- order, the fields that are shown. The tail is its first two lines: the labels and the newest act (acts.lua).
-- `is_thin`: without the times, which cost the most. With it comes the parsed record, if it is sound.
local function shown(id, found, is_thin)
  local r = parse(found[1])
  local record = r and {
    F.shown_of_r,
  }
  if not r and newer_layout(found[1]) then
    record = { string.match(found[1], '^(%d+) (%l[%l_]*) ([!-~]+) ') }
  end
  return {
    id, record or false,
    not is_thin and (score_in(K.sleeping, id) or score_in(K.retry_wait, id)),
    not is_thin and score_in(K.running, id),
    found[2], found[3], false, false, r and string.match(r.tail, '^\n([^\n]*\n?[^\n]*)') or false,
  }, r
end

-- JSON without what comes with a key and after it.
local function cut_at(json, key, ending)
  local at = json and string.find(json, key, 1, true)
  return at and string.sub(json, 1, at - 1) .. ending or json
end

-- What it costs to list a work item, in bytes of an answer: those of a large item are only read, which is cheaper.
local function cost_of(found)
  local item, error = found[2] and #found[2] or 0, found[3] and #found[3] or 0
  return error + (item <= 16384 and item or 16384 + math.floor(item / 8))
end

-- What a listing shows of an item: of a large one, what stands before its payload. A page of those would fill the
-- memory of the server and of whoever asks, and nobody looks at them there.
local function listed(item)
  if not item or #item <= 16384 then return item end
  return cut_at(item, ',"payload":', '}')
end

-- The engine of a record of any layout, or nil.
local function engine_of(raw)
  return string.match(raw, '^%d+ %l[%l_]* ([!-~]+) ')
end

-- Seldom.
local function without_payload(item)
  return cut_at(item, ',"payload":', '}')
end

-- Seldom.
local function without_traceback(error)
  return cut_at(error, '","traceback":"', '"}')
end
