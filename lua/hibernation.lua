-- hibernation.lua - the commands of noun "hibernation": the memory of guests, kept in files.

local LPAR <const> = { name = "lpar", words = "the guest's name", complete = "lpar" }
local COLUMNS <const> = { "lpar", "lu", "content", "size_bytes", "generation", "state", "node",
  "time" }

return {
  noun = "hibernation",
  summary = "the memory of guests, kept in the repository",
  rows = {
    {
      verb = "list",
      summary = "list the guests that are hibernated",
      stream = true,
      collected = true,
      columns = COLUMNS,
      examples = { "hibernation list", "hibernation list --json" },
    },
    {
      verb = "show",
      summary = "show one",
      arguments = { LPAR },
      columns = { "lpar", "lu", "content", "size_bytes", "memory_bytes", "generation", "state",
        "node", "time", "encrypted", "file" },
      examples = { "hibernation show web1" },
    },
    {
      verb = "verify",
      summary = "read all of the file, and check every block of it",
      arguments = { LPAR },
      text = function(result)
        return ('hibernation of "%s": every block is good'):format(result.lpar)
      end,
      examples = { "hibernation verify web1" },
    },
    {
      verb = "remove",
      summary = "give the memory up: the guest is stopped then, and starts from its disks",
      arguments = { LPAR },
      confirm = "loses the memory of {lpar}",
      text = function(result) return ('hibernation of "%s" removed'):format(result.lpar) end,
      examples = { "hibernation remove web1 --yes" },
    },
  },
}
