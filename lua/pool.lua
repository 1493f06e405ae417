-- pool.lua - the commands of noun "pool": shared storage for LUs and images.

local NAME <const> = { name = "name", words = "the pool's name", complete = "pool" }

return {
  noun = "pool",
  summary = "shared storage: the pools that LUs and images live in",
  rows = {
    {
      verb = "create",
      summary = "make a folder of the repository a pool",
      arguments = { { name = "name", words = "the new pool's name" } },
      options = {
        { name = "overcommit", value = "PERCENT", type = "integer",
          words = "what its LUs may promise, in percent of its size (0: no limit)" },
      },
      job = true,
      text = function(result)
        return "pool " .. result.name .. " created"
      end,
      examples = { "pool create p1", "pool create p1 --overcommit 200" },
    },
    {
      verb = "list",
      summary = "list the pools, as this node sees them",
      columns = { "name", "state", "size_bytes", "free_bytes", "promised_bytes", "lus", "images",
        "fence", "overcommit", "why" },
      examples = { "pool list", "pool list --json" },
    },
    {
      verb = "show",
      summary = "show one pool, and what each node can do with it",
      arguments = { NAME },
      columns = { "name", "state", "why", "uuid", "path", "size_bytes", "free_bytes",
        "promised_bytes", "promised_percent", "overcommit", "lus", "images", "fence", "nodes" },
      nested = { nodes = { "node", "mounted", "writable", "fence", "free_bytes", "why" } },
      examples = { "pool show p1" },
    },
    {
      verb = "remove",
      summary = "forget a pool that is empty, and remove its folder",
      arguments = { NAME },
      job = true,
      confirm = "removes the pool {name}",
      text = function(result)
        return "pool " .. result.name .. " removed"
      end,
      examples = { "pool remove p1", "pool remove p1 --yes" },
    },
  },
}
