-- lpar.lua - the commands of noun "lpar": guests and their life.

local vios <const> = require("vios")
local guest <const> = require("vios.guest_options")

local function one_line(verb)
  return function(result)
    local where = (result.node or "") ~= "" and (" on node " .. tostring(result.node)) or ""
    return ("%s %s%s: %s"):format(result.name, verb, where, result.state)
  end
end

-- The same, and why it is here when any node would have done.
local function one_line_placed(verb)
  return function(result)
    local why = result.placed and " (here, since " .. result.placed .. ")" or ""
    return one_line(verb)(result) .. why
  end
end

-- The first check that failed, as an error; nil when none did.
local function refusal(result)
  for _, check in ipairs(result.checks) do
    if not check.ok then
      return vios.error("invalid", check.why, { hint = check.hint ~= "" and check.hint or nil })
    end
  end
end

-- What `lpar validate` says of it: true, or nil, err.
local function validated(context, parameters)
  local result, err = context.call("lpar.validate", parameters)
  err = err or refusal(result)
  return not err or nil, err
end

local function rehearse_hibernate(parameters, context)
  return validated(context, { name = parameters.name, only = "hibernate" })
end

local function rehearse_restart(parameters, context)
  return validated(context, { name = parameters.name, node = parameters.node,
    only = "restart" })
end

local function rehearse_migrate(parameters, context)
  return validated(context, { name = parameters.name, node = parameters.node,
    only = "migrate" })
end

-- What becomes of its LUs is said: those that stay are found by `lu list` only.
local function removed(result)
  local names = {}
  for _, lu in ipairs(result.lus or {}) do
    names[#names + 1] = lu.pool .. "/" .. lu.name
  end
  local lus = ""
  if #names > 0 then
    lus = (result.disks_removed and ", and deleted " or "; these LUs stay: ")
      .. table.concat(names, ", ")
  end
  return "lpar " .. result.name .. " removed" .. lus
end

local function cancelled(result)
  if result.waits_for ~= "" then
    return ("%s: node %s undoes job %s when it is back, unless it was committed"):format(
      result.name, result.waits_for, result.cancelled)
  end
  return ("%s: job %s was cancelled: %s"):format(result.name, result.cancelled, result.state)
end

local function cleaned(result)
  local what = #result.removed > 0 and "removed " .. table.concat(result.removed, ", ")
    or "nothing was left"
  return result.name .. ": " .. what
end

-- What was done, a line each; what it is now; and what to do next.
local function recovered(result)
  local lines = {}
  for _, did in ipairs(result.did) do
    lines[#lines + 1] = result.name .. ": " .. did
  end
  local where = result.node ~= "" and " on node " .. result.node or ""
  local next_one = result.next ~= "" and "; next: " .. result.next or ""
  lines[#lines + 1] = ("%s is %s%s%s"):format(result.name, result.state, where, next_one)
  return table.concat(lines, "\n")
end

local NAME <const> = { name = "name", words = "the guest's name", complete = "lpar" }

return {
  noun = "lpar",
  summary = "guests and their life",
  rows = {
    {
      verb = "create",
      summary = "define a guest that boots a kernel or a raw disk",
      arguments = { { name = "name", words = "the new guest's name" } },
      options = {
        guest.MEMORY, guest.CPUS,
        { name = "kernel", value = "FILE", complete = "file", local_file = false,
          words = "boot this kernel instead of the first disk" },
        { name = "initrd", value = "FILE", complete = "file", local_file = false,
          words = "with this initial RAM disk" },
        { name = "append", value = "TEXT", words = "and this kernel command line" },
        { name = "disk", value = "DISK", many = true, complete = "file", local_file = false,
          words = "an LU (NAME, POOL/NAME or UDID), or the path of a raw image or block device; "
            .. "may be repeated" },
        guest.NIC, guest.ACCEL, guest.CPU, guest.AUTOSTART,
      },
      text = function(result) return "lpar " .. result.name .. " created" end,
      examples = {
        "lpar create web1 --memory 256M --disk web1-root --nic bridge:br0",
        "lpar create web2 --memory 256M --disk /srv/web2.raw --nic user",
        'lpar create t1 --memory 128M --kernel /boot/vmlinuz --append "console=ttyS0"',
      },
    },
    {
      verb = "start",
      summary = "start a guest, on this node or another",
      job = true,
      arguments = { NAME },
      options = {
        { name = "node", value = "NODE", complete = "node",
          words = "on this one, or on any: that with the most memory free for guests" },
        { name = "from_storage", words = "give up the memory of a hibernated one" },
      },
      text = one_line_placed("started"),
      examples = { "lpar start web1", "lpar start web1 --node n2", "lpar start web1 --node any" },
    },
    {
      verb = "stop",
      summary = "ask a guest to power down, and end it when it does not",
      job = true,
      arguments = { NAME },
      options = {
        { name = "timeout", value = "TIME", type = "duration",
          words = "how long it may take to power down (30s)" },
        { name = "force", words = "end it at once" },
      },
      text = one_line("stopped"),
      examples = { "lpar stop web1", "lpar stop web1 --timeout 2m", "lpar stop web1 --force" },
    },
    {
      verb = "hibernate",
      summary = "keep a guest's memory in the repository, and end it",
      job = true,
      arguments = { NAME },
      options = {
        { name = "encrypt", words = "the memory can be read with the cluster's key only" },
      },
      text = one_line("hibernated"),
      rehearse = rehearse_hibernate,
      examples = { "lpar hibernate web1", "lpar hibernate web1 --encrypt" },
    },
    {
      verb = "validate",
      summary = "check whether a guest could be hibernated and restarted; changes nothing",
      arguments = { NAME },
      options = {
        { name = "node", value = "NODE", complete = "node",
          words = "whether on this one, or on any: that with the most memory free for guests" },
      },
      columns = { "lpar", "node", "ok", "checks" },
      nested = { checks = { "check", "ok", "why", "hint" } },
      verdict = refusal,
      examples = { "lpar validate web1", "lpar validate web1 --node n3" },
    },
    {
      verb = "restart",
      summary = "let a hibernated guest go on, on this node or another",
      job = true,
      arguments = { NAME },
      options = {
        { name = "node", value = "NODE", complete = "node",
          words = "on this one, or on any: that with the most memory free for guests" },
      },
      text = one_line_placed("restarted"),
      rehearse = rehearse_restart,
      examples = {
        "lpar restart web1", "lpar restart web1 --node n3", "lpar restart web1 --node any",
      },
    },
    {
      verb = "migrate",
      summary = "move a guest that runs to another node",
      job = true,
      arguments = { NAME },
      options = {
        { name = "node", value = "NODE", complete = "node", required = true,
          words = "to this one, or to any: that with the most memory free for guests" },
      },
      text = one_line("migrated"),
      rehearse = rehearse_migrate,
      examples = { "lpar migrate web1 --node n3", "lpar migrate web1 --node any" },
    },
    {
      verb = "cancel",
      summary = "undo the hibernation or restart that is at work on a guest",
      arguments = { NAME },
      text = cancelled,
      examples = { "lpar cancel web1" },
    },
    {
      verb = "cleanup",
      summary = "remove what hibernations and restarts of a guest left behind",
      job = true,
      arguments = { NAME },
      text = cleaned,
      examples = { "lpar cleanup web1" },
    },
    {
      verb = "recover",
      summary = "make a guest usable whose hibernation or restart was interrupted",
      arguments = { NAME },
      text = recovered,
      examples = { "lpar recover web1" },
    },
    {
      verb = "reset",
      summary = "reset a guest, also one that panicked or stands still",
      arguments = { NAME },
      confirm = "resets {name} without asking it",
      text = one_line("reset"),
      examples = { "lpar reset web1", "lpar reset web1 --yes" },
    },
    {
      verb = "list",
      summary = "list the guests of the cluster",
      columns = { "name", "state", "node", "qemu_pid", "memory_mib", "cpus", "generation", "why" },
      examples = { "lpar list", "lpar list --json" },
    },
    {
      verb = "show",
      summary = "show one guest",
      arguments = { NAME },
      columns = {
        "name", "state", "wanted", "restart_state", "since", "why", "node", "qemu_pid",
        "memory_mib", "cpus", "machine", "accel", "cpu", "boot", "adapters", "autostart", "job",
        "move", "generation", "uuid", "adapter_hash",
      },
      nested = {
        adapters = { "id", "kind", "slot", "backing", "size_bytes", "serial", "mac", "read_only" },
      },
      told_already = { "disks", "nics" },
      examples = { "lpar show web1" },
    },
    {
      verb = "console",
      summary = "a guest's serial console; Ctrl-] leaves it",
      console = true,
      arguments = { NAME },
      options = { { name = "dump", words = "print the last 64 KiB and end" } },
      examples = { "lpar console web1", "lpar console web1 --dump" },
    },
    {
      verb = "remove",
      summary = "forget a guest that does not run, and its paging device",
      job = true,
      arguments = { NAME },
      options = { { name = "disks", words = "delete its LUs too; without it they stay" } },
      confirm = "forgets {name}; with --disks its LUs are deleted, else all its disks stay",
      text = removed,
      examples = { "lpar remove web1", "lpar remove web1 --disks --yes" },
    },
  },
}
