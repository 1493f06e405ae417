-- config.lua - the commands of noun "config": what a node knows before it has a store.

local COLUMNS <const> = { "key", "value", "origin", "help" }

return {
  noun = "config",
  summary = "the configuration of a node",
  rows = {
    {
      verb = "list",
      summary = "list the keys and their values",
      columns = COLUMNS,
      examples = { "config list" },
    },
    {
      verb = "get",
      summary = "show one key",
      arguments = { { name = "key", words = "its name", complete = "config" } },
      columns = COLUMNS,
      examples = { "config get ttl" },
    },
    {
      verb = "set",
      summary = "change one key in the node's file, for its next start",
      arguments = {
        { name = "key", words = "its name", complete = "config" },
        { name = "value", words = "its new value" },
      },
      text = function(_, parameters)
        return parameters.key .. " = " .. tostring(parameters.value)
          .. " (in effect after a restart of the daemon)"
      end,
      examples = { "config set ttl 10s" },
    },
  },
}
