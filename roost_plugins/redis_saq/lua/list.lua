-- Read a page of work items from one index, skipping those of other engines.
-- KEYS: work sleeping retry_wait running place
-- USES: show
-- ARGV: first-rank limit reverse(0|1) engine|'' scan-at-most
-- Result: {next-rank|-1, {row...}}, the rows as `shown` in lib/show.lua returns them, with items as `listed` there;
--   they may be less than the limit although there are more

-- What an answer may have in rows, and a call may cost in bytes, about.
local MOST_ROWS = 500
local MOST_BYTES = 4194304
local rank, limit, engine = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[4]
local command = ARGV[3] == '1' and 'ZREVRANGE' or 'ZRANGE'
local stop = rank + tonumber(ARGV[5])
local page, bytes = {}, 0
limit = math.min(limit, MOST_ROWS)
while #page < limit and rank < stop do
  local chunk = math.min(stop - rank, engine == '' and limit - #page or 500)
  local members = redis.call(command, K.place, rank, rank + chunk - 1)
  if #members == 0 then return { -1, page } end
  for _, member in ipairs(members) do
    rank = rank + 1
    -- In the sets `ready` and `blocked` the id is the last word of the member.
    local id = string.match(member, '([^ ]*)$')
    if engine == '' or engine_of(redis.call('HGET', K.work, id) or '') == engine then
      local found = redis.call('HMGET', K.work, id, id .. ' item', id .. ' error')
      bytes = bytes + cost_of(found)
      found[2] = listed(found[2])
      local row = found[1] and shown(id, found)
      -- A broken record has no engine.
      if row and (engine == '' or row[2]) then page[#page + 1] = row end
      if bytes > MOST_BYTES then return { rank, page } end
      if #page >= limit then break end
    end
  end
end
return { rank, page }
