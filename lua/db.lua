-- db.lua - the commands of noun "db": the VIOS DB, as the daemon sees it.

return {
  noun = "db",
  summary = "the VIOS DB, the cluster's store",
  rows = {
    {
      verb = "status",
      summary = "show where it is, its revision, and how many records it has",
      method = "db.status",
      columns = { "address", "state", "revision", "keys", "size_bytes", "kinds" },
      examples = { "db status" },
    },
    {
      verb = "check",
      summary = "read all of it and check that it is whole",
      method = "db.check",
      columns = { "address", "state" },
      examples = { "db check" },
    },
    {
      verb = "backup",
      summary = "copy it to a file on the node, while it is in use",
      method = "db.backup",
      arguments = { { name = "path", words = "the whole path of the new file" } },
      columns = { "path", "size_bytes" },
      examples = { "db backup /var/backups/vios.db" },
    },
    {
      verb = "get",
      summary = "show a record, or all below a key that ends with /",
      method = "db.get",
      arguments = { { name = "key", words = "its key" } },
      columns = { "key", "revision", "created", "value" },
      examples = { "db get /cluster", "db get /node/ --json" },
    },
  },
}
