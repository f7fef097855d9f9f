-- Shared by the two scripts that accept a step.

-- Whether the step that is to be accepted is the last that may follow others without a delay.
local function is_last_in_row(r)
  return r.max_steps ~= '0' and r.row + 1 >= tonumber(r.max_steps)
end

-- The standing after a step.
local function accept(id, r, step)
  r.version = whole(r.version + 1)
  r.step = step
  r.attempts = '0'
  r.row = whole(r.row + 1)
  if r.blame ~= '-' then r.blame = cleared(r.blame) end
  r.updated = now
  r.committed = now
  if r.has_error == '1' or r.has_beat == '1' then
    redis.call('HDEL', K.work, id .. ' error', id .. ' beat')
    r.has_error = '0'
    r.has_beat = '0'
  end
end

-- The commit's own event, then those of the engine: ARGV from `first` on.
local function tell(id, r, first)
  r.ended_at, r.ended_by = event('committed', id, r, '{"step":' .. quoted(r.step) .. '}'), 'committed'
  local bytes = 0
  for i = first, #ARGV do
    bytes = bytes + #ARGV[i]
    r.ended_at = event('emitted', id, r, ARGV[i])
    add_entry(id, r, r.ended_at, 'emitted', ARGV[i])
  end
  -- About once for each megabyte of a work item's events: no claim may come for a long time.
  if bytes > 4096 and r.version * bytes % 1048576 < bytes then trim_bytes() end
end
