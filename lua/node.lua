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
    {
      verb = "drain",
      summary = "let a node take on nothing new: no pages of others, not the primary's role",
      method = "node.drain",
      arguments = { { name = "node", words = "the node's name", complete = "node" } },
      text = function(_, parameters) return "node " .. parameters.node .. " is drained" end,
      examples = { "node drain n2" },
    },
    {
      verb = "restore",
      summary = "end the draining of a node",
      method = "node.restore",
      arguments = { { name = "node", words = "the node's name", complete = "node" } },
      text = function(_, parameters) return "node " .. parameters.node .. " takes part again" end,
      examples = { "node restore n2" },
    },
    {
      verb = "remove",
      summary = "take a node out of the cluster; it must run and hold nothing",
      method = "node.remove",
      arguments = { { name = "node", words = "the node's name", complete = "node" } },
      confirm = "takes node {node} out of the cluster",
      text = function(_, parameters) return "node " .. parameters.node .. " removed" end,
      examples = { "node remove n4 --yes" },
    },
  },
}
