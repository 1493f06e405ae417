-- backup.lua - backs the VIOS DB up into a folder, checks the new backup, and keeps the newest:
--
--     vios scripts/backup.lua /var/backups/vios --keep 14
--
-- For a timer, on one node, as a user who may administrate that and write to the folder. The file
-- is vios-CLUSTER-TIME.db, the time in UTC, and as secret as the VIOS DB. It is read back as a
-- whole before any older one is removed; when it is not whole, it is set aside with .damaged
-- behind its name, and all others stay. Only files of this cluster with such names are counted
-- and removed. Exits 0 when there is a new backup that is whole.

local given <const> = vios.arguments({
  summary = "back up the VIOS DB, check the backup, and keep the newest ones",
  arguments = { { name = "folder", words = "a folder on the node, with its whole path" } },
  options = {
    { name = "keep", value = "COUNT", type = "integer", minimum = 1, maximum = 100000, default = 7,
      words = "so many backups, the new one too (7)" },
    "json", "quiet", "socket",
  },
  examples = { "/var/backups/vios", "/var/backups/vios --keep 30 --quiet" },
})
local folder <const> = given.folder:gsub("(.)/+$", "%1")

local function fail(code, object, message, hint)
  error(vios.error(code, message, { object = object, hint = hint }), 0)
end

local function check_folder()
  if folder:sub(1, 1) ~= "/" then
    fail("usage", folder, "this is no whole path", "give one that begins with /")
  elseif not vios.os.read_dir(folder) then
    fail("not_found", folder, "there is no such folder, or it may not be read",
      "make it with mkdir -m 700")
  end
end

-- The backups of this cluster by their names, and so by their times, oldest first.
local function backups_of(cluster)
  local names <const> = {}
  local pattern <const> = "^vios%-" .. cluster:gsub("%W", "%%%0") .. "%-%d+T%d+Z%.db$"
  for _, name in ipairs(assert(vios.os.read_dir(folder))) do
    if name:match(pattern) then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

-- Reads all of it; one that is not whole is no backup, and is not counted as one.
local function check(path)
  local whole <const>, err <const> = vios.db.check(path)
  if not whole then
    local aside <const> = path .. ".damaged"
    os.rename(path, aside)
    fail(err.code, aside, "the new backup is not whole: " .. err.message,
      "no older one was removed")
  end
end

-- Removes all but the newest, of which this is one; their names, and how many are left.
local function prune(cluster, newest)
  local names <const>, removed <const> = backups_of(cluster), vios.json.array({})
  if names[#names] ~= newest then
    fail("conflict", names[#names], "this backup is of a later time than now, so none is removed",
      "set the clock right, or move that file away")
  end
  for index = 1, #names - given.keep do
    local ok <const>, why <const> = os.remove(folder .. "/" .. names[index])
    if not ok then
      fail("system", why, "this old backup stays", "the new one is there, and whole")
    end
    removed[#removed + 1] = names[index]
  end
  return removed, #names - #removed
end

check_folder()
local cluster <const> = assert(vios.cluster.status()).name
local name <const> = ("vios-%s-%s.db"):format(cluster, os.date("!%Y%m%dT%H%M%SZ"))
local path <const> = folder .. "/" .. name
local backup <const> = assert(vios.db.backup(path))
check(path)
local removed <const>, kept <const> = prune(cluster, name)
if given.json then
  assert(vios.printer.print({ columns = { "path", "size_bytes", "kept", "removed" } },
    { path = path, size_bytes = backup.size_bytes, kept = kept, removed = removed }, given))
elseif not given.quiet then
  print(("%s, %s, is whole; %d kept, %d removed"):format(path,
    vios.printer.size(backup.size_bytes), kept, #removed))
end
