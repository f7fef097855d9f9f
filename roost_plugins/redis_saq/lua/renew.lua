-- Extend all leases of a worker, store its engines' newest heartbeats, and note that it lives.
-- KEYS: record beat running workers seen
-- ARGV: worker info ttl-ms then for each lease: id token heartbeat|''
-- Result: {token...} of the leases that are lost

local ttl = tonumber(ARGV[3])
local lost = {}
for i = 4, #ARGV, 3 do
  local id, token, beat = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local r = load(id)
  if r and r.token == token then
    redis.call('ZADD', K.running, now + ttl, id)
    if beat ~= '' then
      redis.call('HSET', K.beat, id, beat)
      if not r.has_beat then
        r.has_beat = 1
        save(id, r)
      end
    end
  else
    lost[#lost + 1] = token
  end
end
redis.call('HSET', K.workers, ARGV[1], ARGV[2])
redis.call('ZADD', K.seen, now, ARGV[1])
return lost
