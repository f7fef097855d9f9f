-- Accept a step: check the token and the version, store the snapshot, schedule what is next.
-- KEYS: record snapshot error beat ready sleeping retry_wait running blocked held failed done seq events idle
-- ARGV: id token commit-id expected-version snapshot step continue|yield|sleep|finish delay-ms ttl-ms
--       worker "engine engine ..."|'' event...
-- Result: {'ok' state version attempts at due|-1 claim-in-ms|-1} | {'lost'} | {'version'} | {'corrupt'}

local id, token, commit_id = ARGV[1], ARGV[2], ARGV[3]
local r, refusal = leased(id, token, commit_id)
if refusal then return refusal end
if (r.version or 0) ~= tonumber(ARGV[4]) then return { 'version' } end

local next = ARGV[7]
if next == 'continue' and r.deadline and r.deadline <= now then next = 'yield' end

r.version = (r.version or 0) + 1
r.step = ARGV[6]
r.attempts = nil
r.recoveries = nil
r.updated = now
r.committed = now
clear_beat(id, r)
if r.has_error then
  redis.call('HDEL', K.error, id)
  r.has_error = nil
end
redis.call('HSET', K.snapshot, id, ARGV[5])

local due = -1
if next == 'continue' then
  redis.call('ZADD', K.running, now + ARGV[9], id)
else
  release(id, r)
  if next == 'yield' then
    r.seq = next_seq()
    make_ready(id, r)
  elseif next == 'sleep' then
    due = due_after(r, tonumber(ARGV[8]))
    r.state = 'sleeping'
    redis.call('ZADD', K.sleeping, due, id)
  else
    r.state = 'done'
    r.finished = now
    redis.call('ZADD', K.done, now, id)
    ended(id)
  end
end
event('committed', id, r, cjson.encode({ step = r.step }))
for i = 12, #ARGV do event('emitted', id, r, ARGV[i]) end

if next == 'continue' then
  remember(r, token, commit_id, due)
  save(id, r)
  return { 'ok', r.state, r.version, 0, now, due, 0 }
end
return answer_released(id, r, token, commit_id, due, ARGV[10], ARGV[11])
