-- lpar.lua - the commands of noun "lpar": guests and their life.

local guest <const> = require("vios.guest_options")

local function one_line(verb)
  return function(result)
    local where = (result.node or "") ~= "" and (" on node " .. tostring(result.node)) or ""
    return ("%s %s%s: %s"):format(result.name, verb, where, result.state)
  end
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
        { name = "kernel", value = "FILE", complete = "file",
          words = "boot this kernel instead of the first disk" },
        { name = "initrd", value = "FILE", complete = "file",
          words = "with this initial RAM disk" },
        { name = "append", value = "TEXT", words = "and this kernel command line" },
        { name = "disk", value = "DISK", many = true, complete = "file",
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
      text = function(result)
        local why = result.placed and " (here, since " .. result.placed .. ")" or ""
        return one_line("started")(result) .. why
      end,
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
      examples = { "lpar hibernate web1", "lpar hibernate web1 --encrypt" },
    },
    {
      verb = "restart",
      summary = "let a hibernated guest go on, on this node or another",
      job = true,
      arguments = { NAME },
      options = {
        { name = "node", value = "NODE", complete = "node", words = "on this one" },
      },
      text = one_line("restarted"),
      examples = { "lpar restart web1", "lpar restart web1 --node n3" },
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
        "name", "state", "since", "why", "node", "qemu_pid", "memory_mib", "cpus", "machine",
        "accel", "cpu", "boot", "adapters", "autostart", "job", "move", "generation", "uuid",
        "adapter_hash",
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
