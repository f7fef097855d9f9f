-- Read one work item at one moment.
-- KEYS: record item snapshot error beat sleeping retry_wait running
-- ARGV: id
-- Result: nil | {id record due|nil expires|nil item|nil snapshot|nil error|nil heartbeat|nil}

local id = ARGV[1]
local record = redis.call('HGET', K.record, id)
if not record then return nil end
return {
  id, record,
  redis.call('ZSCORE', K.sleeping, id) or redis.call('ZSCORE', K.retry_wait, id),
  redis.call('ZSCORE', K.running, id),
  redis.call('HGET', K.item, id), redis.call('HGET', K.snapshot, id),
  redis.call('HGET', K.error, id), redis.call('HGET', K.beat, id),
}
