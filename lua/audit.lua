-- audit.lua - the commands of noun "audit": who changed what.

return {
  noun = "audit",
  summary = "who changed what, and how it ended",
  rows = {
    {
      verb = "list",
      summary = "list the changes, oldest first",
      options = {
        { name = "limit", value = "COUNT", type = "integer", words = "only the last so many" },
      },
      columns = { "time", "actor", "node", "method", "object", "outcome",
        "user", "from" },
      examples = { "audit list", "audit list --json" },
    },
  },
}
