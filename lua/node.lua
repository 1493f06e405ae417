-- node.lua - the commands of noun "node": the members of the cluster.

local node_add <const> = require("vios.node_add")

local NODE <const> = { name = "node", words = "the node's name", complete = "node" }
local DIR <const> = { name = "dir", value = "DIR",
  words = "its configuration, state and sockets are below this folder there" }
local COLUMNS <const> = { "name", "state", "address", "role", "level", "since" }

return {
  noun = "node",
  summary = "the members of the cluster",
  rows = {
    {
      verb = "token",
      summary = "print a token with which one node may join, once",
      options = {
        { name = "valid", value = "TIME", type = "duration", words = "for so long (1h)" },
        { name = "revoke", value = "ID", words = "none: let nobody join with that one any more" },
      },
      text = function(result)
        return result.token or "token " .. result.revoked .. " is revoked"
      end,
      examples = { "node token", "node token --valid 10m",
        "node token --revoke 0123456789abcdef" },
    },
    {
      verb = "add",
      summary = "make a host a node of this cluster, by ssh",
      run = node_add.add,
      preview = node_add.add,
      arguments = { { name = "host", words = "[USER@]HOST, as for ssh; vios is installed there" } },
      options = {
        { name = "name", value = "NAME", words = "the node's name, if not the host's" },
        { name = "address", value = "ADDRESS",
          words = "at which the other nodes reach it, if not where ssh did" },
        { name = "port", value = "PORT", type = "integer", minimum = 0, maximum = 65535,
          words = "its port; 0: a free one, and one for pages" },
        { name = "witness", words = "as a witness: it has a vote, and no guests" },
        DIR,
      },
      text = function(result)
        return result.would and table.concat(result.would, "\n")
          or "node " .. result.name .. " added"
      end,
      examples = { "node add root@host4 --name n4", "node add host4 --dir /srv/vios --port 0" },
    },
    {
      verb = "join",
      summary = "make this node a member of the cluster that the token is of",
      arguments = { { name = "token", words = "what \"vios node token\" printed there" } },
      options = {
        { name = "witness", words = "as a witness: it has a vote, and no guests" },
      },
      text = function(result) return 'joined cluster "' .. result.cluster .. '"' end,
      examples = { "node join vios1.AbC", "node join vios1.AbC --witness" },
    },
    {
      verb = "list",
      summary = "list the nodes and their states",
      columns = COLUMNS,
      examples = { "node list", "node list --json", "node list --fmt : --field name,state" },
    },
    {
      verb = "show",
      summary = "show one node",
      arguments = { NODE },
      columns = COLUMNS,
      examples = { "node show n2" },
    },
    {
      verb = "drain",
      summary = "empty a node: its guests leave, and it takes on nothing new",
      arguments = { NODE },
      text = function(_, parameters) return "node " .. parameters.node .. " is drained" end,
      examples = { "node drain n2" },
    },
    {
      verb = "restore",
      summary = "end the draining of a node",
      arguments = { NODE },
      text = function(_, parameters) return "node " .. parameters.node .. " takes part again" end,
      examples = { "node restore n2" },
    },
    {
      verb = "remove",
      summary = "take a node out of the cluster; it must run and hold nothing",
      job = true,
      run = node_add.remove,
      rehearse = node_add.rehearse_remove,
      restricted = function(parameters) return not parameters.host and not parameters.dir end,
      arguments = { NODE },
      options = {
        { name = "host", value = "HOST",
          words = "remove from this host what \"node add\" made, by ssh" },
        DIR,
      },
      confirm = "takes node {node} out of the cluster",
      text = function(_, parameters) return "node " .. parameters.node .. " removed" end,
      examples = { "node remove n4 --yes", "node remove n4 --host root@host4 --yes" },
    },
  },
}
