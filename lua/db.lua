-- db.lua - the commands of noun "db": the VIOS DB, as the daemon sees it; it is restored, and
-- checked when no daemon answers, by offline.lua.

local connection <const> = require("vios.connection")

local function note_on(context)
  return function(text)
    for line in text:gmatch("[^\n]+") do
      context.note(line)
    end
  end
end

-- The daemon's, or, of a file or when none answers, our own.
local function check(parameters, context)
  local client, err
  if not parameters.what then
    client, err = connection.get(context.options)
    if client then
      return context.call("db.check", {})
    elseif err.code ~= "unreachable" then
      return nil, err
    end
    context.note("no daemon answers: looking without one")
  end
  return require("vios.offline").check(parameters, context.options, note_on(context))
end

local function restore(parameters, context)
  return require("vios.offline").restore(parameters, context.options, note_on(context))
end

local CONFIG <const> = {
  name = "config", value = "FILE", complete = "file", local_file = true,
  words = "the node's configuration, if not that of the node that would be asked",
}

return {
  noun = "db",
  summary = "the VIOS DB, the cluster's store",
  rows = {
    {
      verb = "status",
      summary = "show where it is, its revision, and how many records it has",
      columns = { "address", "state", "revision", "keys", "size_bytes", "kinds" },
      examples = { "db status" },
    },
    {
      verb = "check",
      summary = "read all of it, or of a backup, and check that it is whole",
      run = check,
      restricted = true,
      arguments = {
        { name = "what", words = "a backup, or the address of a VIOS DB that nobody serves",
          optional = true, complete = "file", local_file = true },
      },
      options = { CONFIG },
      columns = { "address", "state" },
      examples = { "db check", "db check /var/backups/vios.db" },
    },
    {
      verb = "backup",
      summary = "copy it to a file on the node, while it is in use",
      arguments = { { name = "path", words = "the whole path of the new file" } },
      columns = { "path", "size_bytes" },
      examples = { "db backup /var/backups/vios.db" },
    },
    {
      verb = "restore",
      summary = "put a backup in the place of a VIOS DB that is lost or damaged, or is to move",
      run = restore,
      preview = restore,
      arguments = { { name = "file", words = "the backup", complete = "file",
        local_file = true } },
      options = {
        { name = "to", value = "ADDRESS", words = "where, if not the node's configured store" },
        CONFIG,
      },
      columns = { "to", "restores", "epoch", "aside", "nodes", "start" },
      text = function(result, parameters)
        return require("vios.offline").restore_text(result, parameters)
      end,
      confirm = "replaces the VIOS DB by {file}",
      examples = {
        "db restore /var/backups/vios.db --dry-run",
        "db restore /var/backups/vios.db --to etcd:http://192.0.2.1:2379 --yes",
      },
    },
    {
      verb = "get",
      summary = "show a record, or all below a key that ends with /",
      arguments = { { name = "key", words = "its key" } },
      columns = { "key", "revision", "created", "value" },
      examples = { "db get /cluster", "db get /node/ --json" },
    },
  },
}
