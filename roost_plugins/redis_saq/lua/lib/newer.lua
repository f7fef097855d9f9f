-- Shared by the scripts that find what a newer Roost wrote: it is left for a worker that knows it.
--
-- Its place in the line or among the due ones is set aside in `newer`, so that many of them in
-- front neither hold up the others nor are checked again and again; the record itself stays as it
-- is. The score there is the layout that a worker has to know, and a member is "place score
-- member": where it was. The first worker that knows the layout puts it back.

-- Seldom.
local function set_aside(layout, place, score, member)
  redis.call('ZADD', K.newer, layout, place .. ' ' .. score .. ' ' .. member)
end
