-- Find one work item's events in a part of the shared stream, newest first.
-- KEYS: events
-- ARGV: id before|+ look-at-most
-- Result: {before|'', {{event-id, text}...}}: where to continue, or '' at the beginning of the stream

local wanted = ' ' .. ARGV[1] .. ' '
local found, last = {}, ''
for _, entry in ipairs(redis.call('XREVRANGE', K.events, ARGV[2], '-', 'COUNT', ARGV[3])) do
  last = entry[1]
  for i = 1, #entry[2], 2 do
    local text = entry[2][i + 1]
    local at = string.find(text, ' ', 1, true)
    if at and string.sub(text, at, at + #wanted - 1) == wanted then found[#found + 1] = { entry[1], text } end
  end
end
return { last == '' and '' or '(' .. last, found }
