-- Shared by the scripts that accept steps: what a commit carries besides its snapshot.
-- USES: trail
--
-- Behind a script's own arguments ARGV is a sequence of parts, each "name n value...", with n
-- values. A part that a commit lacks is simply absent, and costs nothing. Caller and script are of
-- one version, so the names may change, but not what is stored of them.
--
-- A new part: an attribute of `Commit` with a default, a line in ledger/envelope.py that appends
-- it, its name and a branch here. `r` is the record, or, in an advance, what it has of one: state,
-- engine, version, and the rest unparsed. What is to be written to the work item's hash is added to
-- `r.trail`, which is stored with the record.

-- Seldom.
-- What the snapshot has changed, which comes first, or '': with '~' in front; or '=': the snapshot is a base, and what
-- it has changed is not known (lib/history.lua).
local function change_in(first)
  return ARGV[first] == 'change' and ARGV[first + 2] or ''
end

-- Seldom.
-- Call it before anything is written: a script that fails leaves what it has written.
local function check_parts(first)
  local at = first
  while ARGV[at] do
    if ARGV[at] ~= 'change' and ARGV[at] ~= 'events' then error('no such part of a commit: ' .. ARGV[at]) end
    at = at + 2 + ARGV[at + 1]
  end
end

-- Seldom.
local function take_parts(id, r, first)
  local at = first
  while ARGV[at] do
    local name, from, last = ARGV[at], at + 2, at + 1 + ARGV[at + 1]
    if name == 'events' then emit(id, r, from, last) end
    at = last + 1
  end
end
