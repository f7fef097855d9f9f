-- Read a page of work items from one index, skipping those of other engines.
-- KEYS: record item error sleeping retry_wait running index
-- ARGV: first-rank limit reverse(0|1) engine|'' scan-at-most
-- Result: {next-rank|-1, {{id record due|nil expires|nil item|nil nil error|nil}...}}

local rank, limit, engine = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[4]
local command = ARGV[3] == '1' and 'ZREVRANGE' or 'ZRANGE'
local stop = rank + tonumber(ARGV[5])
local page = {}
while #page < limit and rank < stop do
  local chunk = math.min(stop - rank, engine == '' and limit - #page or 500)
  local members = redis.call(command, K.index, rank, rank + chunk - 1)
  if #members == 0 then return { -1, page } end
  for _, member in ipairs(members) do
    rank = rank + 1
    -- In the sets `ready` and `blocked` the id is the last word of the member.
    local id = string.match(member, '(%S+)$')
    local record = redis.call('HGET', K.record, id)
    if record then
      local sound, r = pcall(cjson.decode, record)
      if engine == '' or (sound and type(r) == 'table' and r.engine == engine) then
        page[#page + 1] = {
          id, record,
          redis.call('ZSCORE', K.sleeping, id) or redis.call('ZSCORE', K.retry_wait, id),
          redis.call('ZSCORE', K.running, id),
          redis.call('HGET', K.item, id), false, redis.call('HGET', K.error, id),
        }
        if #page >= limit then break end
      end
    end
  end
end
return { rank, page }
