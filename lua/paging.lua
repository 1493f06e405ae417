-- paging.lua - the commands of noun "paging": memory of other nodes for an LPAR.

local LPAR <const> = { name = "lpar", words = "the LPAR's name", complete = "lpar" }
local DEVICE <const> = { name = "lpar", words = "the LPAR's name", complete = "paging" }

local function names(list)
  local parts = {}
  for _, replica in ipairs(list or {}) do
    parts[#parts + 1] = replica.node
  end
  return table.concat(parts, " and ")
end

local COLUMNS <const> = { "lpar", "size_bytes", "policy", "state", "node", "replicas", "pages_in",
  "pages_out", "errors" }

return {
  noun = "paging",
  summary = "memory of other nodes that extends an LPAR's own",
  rows = {
    {
      verb = "create",
      summary = "extend an LPAR's memory with pages on other nodes",
      arguments = { LPAR },
      options = {
        { name = "size", value = "SIZE", words = "how much, in whole MiB for example",
          type = "size", required = true },
        { name = "policy", value = "POLICY",
          words = "mirror (two nodes, the default), single, or disk",
          complete = { "mirror", "single", "disk" } },
        { name = "node", value = "NODE", many = true, words = "only on these nodes",
          complete = "node" },
        { name = "disk", value = "FILE", words = "the local file, for policy disk",
          complete = "file", local_file = false },
      },
      columns = COLUMNS,
      job = true,
      text = function(result)
        local where <const> = names(result.replicas)
        return ("paging %s created: %s, %s%s"):format(result.lpar, result.policy,
          result.state, where ~= "" and ", on " .. where or "")
      end,
      examples = {
        "paging create web1 --size 256M", "paging create web1 --size 1G --policy single",
      },
    },
    {
      verb = "list",
      summary = "list the paging devices of all LPARs",
      columns = COLUMNS,
      examples = { "paging list", "paging list --json" },
    },
    {
      verb = "show",
      summary = "show one paging device, with its replicas",
      arguments = { DEVICE },
      columns = { "lpar", "size_bytes", "policy", "state", "uri", "node", "replicas", "pages_in",
        "pages_out", "in_us", "out_us", "errors" },
      examples = { "paging show web1" },
    },
    {
      verb = "stat",
      summary = "show live numbers of page-ins and page-outs",
      arguments = { { name = "lpar", words = "the LPAR's name", complete = "paging",
        optional = true } },
      options = { { name = "follow", short = "f", words = "go on, a line a second" } },
      columns = { "lpar", "state", "pages_in", "pages_out", "in_us", "out_us", "errors" },
      stream = true,
      examples = { "paging stat", "paging stat web1 --follow" },
    },
    {
      verb = "remove",
      summary = "give the memory back; the LPAR must not be running",
      arguments = { DEVICE },
      job = true,
      confirm = "gives back the remote memory of {lpar}",
      examples = { "paging remove web1" },
    },
  },
}
