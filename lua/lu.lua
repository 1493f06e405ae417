-- lu.lua - the commands of noun "lu": logical units, the disks of guests on a pool.

local LU <const> = { name = "lu", words = "the LU: NAME, POOL/NAME or its UDID", complete = "lu" }
local POOL <const> = { name = "pool", value = "POOL", complete = "pool",
  words = "in this pool; not needed when there is one only" }

local function one_line(verb)
  return function(result)
    local where <const> = result.pool and result.pool .. "/" or ""
    return ("lu %s%s %s"):format(where, result.name or result.udid, verb)
  end
end

return {
  noun = "lu",
  summary = "logical units: disks of guests in a pool",
  rows = {
    {
      verb = "create",
      summary = "make an empty LU",
      arguments = { { name = "name", words = "the new LU's name" } },
      options = {
        { name = "size", value = "SIZE", type = "size", required = true,
          words = "how large it is for a guest" },
        POOL,
        { name = "thick", words = "take all its space now" },
      },
      job = true,
      text = one_line("created"),
      examples = { "lu create web1 --size 10G", "lu create db1 --size 100G --pool p1 --thick" },
    },
    {
      verb = "list",
      summary = "list the LUs",
      options = {
        { name = "pool", value = "POOL", words = "only of this pool", complete = "pool" },
      },
      columns = { "pool", "name", "size_bytes", "used_bytes", "mapped_to", "thick", "udid" },
      examples = { "lu list", "lu list --pool p1", "lu list --json" },
    },
    {
      verb = "show",
      summary = "show one LU",
      arguments = { LU },
      columns = { "name", "pool", "udid", "size_bytes", "used_bytes", "thick", "mapped_to",
        "image", "origin", "job", "path", "file", "dead", "created" },
      examples = { "lu show web1", "lu show p1/web1" },
    },
    {
      verb = "resize",
      summary = "make an LU larger, also while its guest runs",
      arguments = { LU },
      options = {
        { name = "size", value = "SIZE", type = "size", required = true,
          words = "its new size; not less than it has" },
      },
      job = true,
      text = function(result)
        return ("lu %s/%s resized; guest: %s"):format(result.pool, result.name, result.guest)
      end,
      examples = { "lu resize web1 --size 20G" },
    },
    {
      verb = "clone",
      summary = "make an LU that begins as a copy of another",
      arguments = { LU, { name = "name", words = "the new LU's name" } },
      options = {
        { name = "pool", value = "POOL", words = "in this pool (that of the LU)",
          complete = "pool" },
      },
      job = true,
      text = one_line("created"),
      examples = { "lu clone web1 web2", "lu clone p1/web1 web1 --pool p2" },
    },
    {
      verb = "remove",
      summary = "remove an LU that is no guest's disk, with all that is on it",
      arguments = { LU },
      job = true,
      confirm = "destroys what is on {lu}",
      text = one_line("removed"),
      examples = { "lu remove web1", "lu remove p1/web1 --yes" },
    },
  },
}
