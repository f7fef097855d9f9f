-- Extend all leases of a worker, store its engines' newest heartbeats, and note that it lives and what
-- it runs and has done. This is called while any worker lives, so it also keeps reservations valid.
-- KEYS: work running workers seen beats ready blocked held lines failed newer events idle offers halted index rates
-- USES: record trail blame line acts reservations holder rates
-- ARGV: worker info ttl-ms tally|'' then for each lease: id token heartbeat|''
-- Result: {{token...} of the leases that are lost, {token...} of those whose step is to be ended, because people want
--   its work cancelled or buried}; the tally is as in lib/rates.lua

local BATCH = 300
local expires = whole(now + ARGV[3])
local lost, wanted = {}, {}
for first = 5, #ARGV, BATCH do
  local ids, leases = {}, {}
  for i = first, math.min(first + BATCH, #ARGV) - 1, 3 do ids[#ids + 1] = ARGV[i] end
  for n, raw in ipairs(redis.call('HMGET', K.work, unpack(ids))) do
    local id, token, beat = ids[n], ARGV[first + 3 * n - 2], ARGV[first + 3 * n - 1]
    local r = raw and parse_head(raw)
    if r and (r.token == token or is_marked(r, token)) then
      leases[#leases + 1] = expires
      leases[#leases + 1] = id
      if r.wish ~= '-' and is_final(r.wish) then wanted[#wanted + 1] = token end
      if beat ~= '' then
        redis.call('HSET', K.work, id .. ' beat', beat)
        if r.has_beat == '0' then
          r.has_beat = '1'
          save(id, r)
        end
      end
    else
      lost[#lost + 1] = token
    end
  end
  if #leases > 0 then redis.call('ZADD', K.running, unpack(leases)) end
end
-- The registers are not part of a lease: it is extended even if they are damaged.
redis.pcall('HSET', K.workers, ARGV[1], ARGV[2])
redis.pcall('ZADD', K.seen, now, ARGV[1])
count_beat(ARGV[1])
straighten(K.idle, BATCH)
pcall(function() offer(ARGV[1], engines_of(info_of(ARGV[1]))) end)
pcall(void_reservations)
if ARGV[4] ~= '' then pcall(function() add_rates(ARGV[4]) end) end
return { lost, wanted }
