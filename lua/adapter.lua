-- adapter.lua - the commands of noun "adapter": what guests' virtual adapters are mapped to.

local printer <const> = require("vios.printer")
local term <const> = require("vios.term")

local COLUMNS <const> = { "lpar", "id", "kind", "slot", "backing", "serial", "mac", "size_bytes",
  "read_only", "node", "state" }

-- A line for the guest, and one for each adapter.
local function mappings(result)
  local where = result.node ~= "" and " on node " .. result.node or ""
  local lines = { ("lpar %s: %s%s"):format(result.lpar, result.state, where),
    "adapter hash " .. result.adapter_hash }
  for _, row in ipairs(result.adapters) do
    local name = row.serial ~= "" and row.serial or row.mac
    local size = math.type(row.size_bytes) == "integer" and printer.size(row.size_bytes) or ""
    lines[#lines + 1] = ("  %-7s slot %-3d %-18s %-6s %s%s"):format(row.id, row.slot, name, size,
      term.escape(row.backing), row.read_only and " (read only)" or "")
  end
  return table.concat(lines, "\n")
end

return {
  noun = "adapter",
  summary = "what the virtual adapters of guests are mapped to",
  rows = {
    {
      verb = "list",
      summary = "list the mappings of all guests, or of one: the cluster's lsmap",
      arguments = {
        { name = "lpar", words = "only of this guest", complete = "lpar", optional = true },
      },
      columns = COLUMNS,
      examples = { "adapter list", "adapter list web1", "adapter list --json" },
    },
    {
      verb = "show",
      summary = "show one guest's mappings, and the hash that tells whether two guests are alike",
      arguments = { { name = "lpar", words = "the guest's name", complete = "lpar" } },
      columns = { "lpar", "node", "state", "adapter_hash", "adapters" },
      text = mappings,
      examples = { "adapter show web1" },
    },
  },
}
