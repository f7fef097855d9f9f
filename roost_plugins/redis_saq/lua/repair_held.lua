-- A step of the repair: check some held resources, and free those whose holder does not run.
-- KEYS: work running ready blocked held lines failed newer events idle halted index
-- USES: record resources inspect
-- ARGV: dry(0|1) cursor count
-- Result: {cursor, {finding...}}

local findings = {}
local found = finder(findings)
local cursor, resources = step_of('HSCAN', K.held, ARGV[2], ARGV[3])
for _, resource in ipairs(resources) do
  local holder = redis.call('HGET', K.held, resource) or ''
  local raw = redis.call('HGET', K.work, holder)
  local r = raw and parse(raw)
  local is_right = raw and (newer_layout(raw) or r and r.state == 'running' and names_resource(r, resource))
  if not is_right and found('stale', 'held', resource) then
    redis.call('HDEL', K.held, resource)
    look_at({ resource })
  end
end
return { cursor, findings }
