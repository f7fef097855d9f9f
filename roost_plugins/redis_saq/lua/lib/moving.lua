-- Shared by the scripts that people move work with.
-- USES: record index line resources settle

-- Seldom.
-- Take it out of its place. Return when it would have been due, or '-', and whether others stood in line behind it.
local function leave_place(id, r)
  local due = '-'
  if r.state == 'queued' then
    local member = ready_member(id, r)
    if redis.call('ZREM', K.ready, member) == 0 then redis.call('ZREM', K.newer, 'ready 0 ' .. member) end
  elseif r.state == 'blocked' then
    redis.call('ZREM', K.blocked, ' ' .. in_line(id, r))
    r.blocked_on = '-'
  else
    local place = places_by_id()[r.state]
    if r.state == 'sleeping' or r.state == 'retry_wait' then
      local score = tonumber(redis.call('ZSCORE', place, id) or nil)
      -- A damaged time may be any number.
      due = score and score > 0 and score < 1e15 and whole(score) or now
    end
    redis.call('ZREM', place, id)
  end
  return due, leave_lines(id, r)
end

-- Seldom.
-- Put it among those that have a due time.
local function lay_down(id, r, state, due)
  local place = places_by_id()[state]
  r.state = state
  redis.call('ZADD', place, due, id)
  -- Idle workers know the next due time; only an earlier one is news to them.
  if redis.call('ZRANGE', place, '0', '0')[1] == id then wake(r.engine) end
end

-- Seldom.
local function stand_in_line(id, r)
  make_ready(id, r)
  wake(r.engine)
end

-- Seldom.
local function as_if_none_had_failed(id, r)
  if r.has_error == '1' then forget_error(id) end
  r.attempts, r.blame, r.row, r.wish, r.has_error = '0', '-', '0', '-', '0'
  redis.call('HDEL', K.work, id .. ' error')
end
