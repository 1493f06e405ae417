-- node.lua - the commands of noun "node": the members of the cluster.

return {
  noun = "node",
  summary = "the members of the cluster",
  rows = {
    {
      verb = "join",
      summary = "make this node a member of the cluster whose VIOS DB it uses",
      method = "node.join",
      text = function() return "joined" end,
      examples = { "node join" },
    },
    {
      verb = "list",
      summary = "list the nodes and their states",
      method = "node.list",
      columns = { "name", "state", "address", "role", "level", "since" },
      examples = { "node list", "node list --json", "node list --fmt : --field name,state" },
    },
    {
      verb = "show",
      summary = "show one node",
      method = "node.show",
      arguments = { { name = "node", words = "the node's name", complete = "node" } },
      columns = { "name", "state", "address", "role", "level", "since" },
      examples = { "node show n2" },
    },
  },
}
