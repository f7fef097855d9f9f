-- Shared by the scripts that accept steps, or show them: the versions of a snapshot.
-- USES: newest
--
-- An accepted step leaves an entry in the field "<id> v<version>":
--
--   "ms took-ms worker step\n", and the way back to the version before: '=' and the bytes of that,
--   or '~' and the change that led from it (roost_core/codec/changes.py), or nothing if it is not known
--
-- A snapshot is whole, as a rule. But it may be committed as a *base*: then later commits bring only
-- changes, "<id> snapshot" stays the base, and the newest version is what follows from it by the
-- changes in the entries behind. The word `anchor` of the record is the version of the base, or '0'
-- if "<id> snapshot" is the newest version. `oldest` is 'v' and the first version
-- whose entry may be there, or '-'.
--
-- The entries that the newest version follows from are always there. Of the others as many are kept
-- as are within HISTORY_VERSIONS and HISTORY_BYTES; they are dropped now and then.

-- What a commit brings as a change is itself the way back, or says that it is not known. In two parts, which the entry
-- joins: what a script joins costs the collection of garbage, and this may be the whole version before. Nothing if
-- there is to be no entry.
local function way_back(id, version, anchor, snapshot, change)
  if change == '' and HISTORY_VERSIONS == 0 then return end
  if change ~= '' and change ~= '=' then return '', change end
  if HISTORY_BYTES == 0 or (anchor ~= '0' and anchor ~= version) then return '', '' end
  if #snapshot > 65536 and redis.call('HSTRLEN', K.work, id .. ' snapshot') > HISTORY_BYTES then return '', '' end
  local before = redis.call('HGET', K.work, id .. ' snapshot')
  if not before or #before > HISTORY_BYTES then return '', '' end
  return '=', before
end

-- Seldom.
-- Drop the entries beyond the bounds, and return the oldest that is left. The newest, of `size`, stays; with no history
-- there is none. Up to two thousand are dropped in one call, which has no other bound: the rest go the next time.
local function tidied(id, version, anchor, oldest, size)
  oldest = first_kept(oldest)
  local least = math.max(version - HISTORY_VERSIONS + 1, oldest, 1)
  local from = least
  -- As many entries of a smaller size as there can be take less than half of HISTORY_BYTES. What is larger and still
  -- there from before was measured then.
  if size > HISTORY_BYTES / 2 / (HISTORY_VERSIONS + 32) then
    local bytes = size
    from = version
    for one = version - 1, least, -1 do
      bytes = bytes + redis.call('HSTRLEN', K.work, version_field(id, one))
      if bytes > HISTORY_BYTES then break end
      from = one
    end
  end
  if anchor ~= '0' and anchor + 1 < from + 0 then from = anchor + 1 end
  local first = math.max(oldest, 1)
  local last = math.min(from - 1, first + 1999)
  for begin = first, last, 100 do
    local fields = {}
    -- As `version_field` does it: this is done for each version in the end.
    for one = begin, math.min(begin + 99, last) do fields[#fields + 1] = string.format('%s v%d', id, one) end
    redis.call('HDEL', K.work, unpack(fields))
  end
  return string.format('v%d', math.max(first, last + 1))
end

-- Whether entries are to be dropped, with a new one of this size. At an odd number of versions: every second step of
-- an engine that goes back and forth between two may be a small one, and only a large one has all of them measured.
local function is_tidied(version, size)
  return version % 31 == 0 or size > HISTORY_BYTES / 32
end

-- Seldom.
-- The same for a record whose rest is not parsed: return the rest.
local function tidied_rest(id, version, anchor, rest, size)
  local before, entries, after = string.match(rest, F.before.entries)
  if not before then return rest end
  local oldest, behind = string.match(after, '^ ([!-~]+)(.*)$')
  return before .. entries .. ' ' .. tidied(id, version, anchor, oldest or '-', size) .. (behind or after)
end

-- Seldom.
-- Remove the entries of a work item that is about to go: from the oldest on. If that is not known, there are few, and of
-- the newest versions. There are no more than the settings allow, and what follows from a base, unless the record is
-- damaged.
local function forget_versions(id, r)
  local oldest, last = tonumber(first_kept(r.oldest)), tonumber(r.version or '0')
  local most = oldest > 0 and 15000 or 2000
  for begin = math.max(1, oldest, last - most + 1), last, 500 do
    local fields = {}
    for one = begin, math.min(begin + 499, last) do fields[#fields + 1] = version_field(id, one) end
    redis.call('HDEL', K.work, unpack(fields))
  end
end
