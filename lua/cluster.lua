-- cluster.lua - the commands of noun "cluster".

return {
  noun = "cluster",
  summary = "the cluster as a whole",
  rows = {
    {
      verb = "create",
      summary = "make this node the first of a new cluster",
      method = "cluster.create",
      arguments = { { name = "name", words = "the cluster's name" } },
      text = function(_, parameters) return 'cluster "' .. parameters.name .. '" created' end,
      examples = { "cluster create prod" },
    },
    {
      verb = "list",
      summary = "list the clusters that this node knows: its own",
      method = "cluster.list",
      columns = { "name", "uuid", "created" },
      examples = { "cluster list", "cluster -list -fmt :" },
    },
    {
      verb = "status",
      summary = "show the state of the cluster",
      method = "cluster.status",
      columns = { "name", "state", "primary", "epoch", "nodes" },
      examples = { "cluster status", "cluster -status -fmt :" },
    },
  },
}
