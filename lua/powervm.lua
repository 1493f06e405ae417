-- powervm.lua - the commands that PowerVM's administrators and their scripts type, with its options
-- and columns. None does anything of its own: a row means one of our commands, or a list of
-- powervm_lists.lua that asks the same methods.

local vios <const> = require("vios")
local commands <const> = require("vios.commands")
local lists <const> = require("vios.powervm_lists")

-- --- options ---

local CLUSTER <const> = { name = "clustername", value = "CLUSTER", complete = "cluster",
  words = "the cluster; an error if it is another one" }
local SP <const> = { name = "sp", value = "POOL", complete = "pool",
  words = "the pool; not needed when there is one only" }
local BD <const> = { name = "bd", value = "LU", words = "the LU's name" }
local LU <const> = { name = "lu", value = "LU", words = "the LU's name" }
local LUUDID <const> = { name = "luudid", value = "UDID", words = "the LU's UDID, not its name" }
local SIZE <const> = { name = "size", value = "SIZE", required = true,
  words = "how large it is to be, as 100M or 10G" }
local THICK <const> = { name = "thick", words = "take all its space now" }
local FILE <const> = { name = "file", value = "FILE", complete = "file", required = true,
  local_file = false, words = "the backup" } -- what it means says whose it is

-- As `lu -create web1` had it before PowerVM's options were known.
local NAME <const> = { name = "name", optional = true, words = "the same as -lu" }

-- Words of PowerVM that name nothing here are known, and find nothing.
local POOL_TYPES <const> = { "CLPOOL", "LVPOOL", "FBPOOL" }
local DEVICE_TYPES <const> = { "cl_disk", "disk", "file_disk", "file", "file_opt", "lv", "optical",
  "tape", "usb_disk" }
local OPERATIONS <const> = { "restart", "validate", "cancel", "cleanup", "recover" }
local PRIORITIES <const> = { ["1"] = "high", ["2"] = "medium", ["3"] = "low" }

local function usage(message, hint)
  return nil, vios.error("usage", message, { hint = hint })
end

-- An error when one of the words of "a,b" is none of them.
local function check_words(text, known, option)
  for word in (text or ""):gmatch("[^,]+") do
    local found = false
    for _, each in ipairs(known) do
      found = found or each == word
    end
    if not found then
      return usage('option "-' .. option .. '" does not know "' .. word .. '"',
        "one of: " .. table.concat(known, ", "))
    end
  end
  return true
end

-- Our command `name`, with what is `other` about it, once `check`, if given, is content.
local function ours(name, check, other)
  local row <const> = commands.row(name:match("^(%a+) (%a+)$"))
  local told <const> = setmetatable(other or {}, { __index = row })
  told.restricted = row.restricted or (check and not row.run) or nil
  told.run = (row.run or check) and function(sent, context)
    if check then
      local good <const>, err = check(context, sent)
      if not good then
        return nil, err
      end
    end
    if row.run then
      return row.run(sent, context)
    end
    return context.call(row.method, sent)
  end
  return told
end

local function in_cluster(name)
  return name and function(context) return lists.cluster(context, name) end
end

-- --- what they mean ---

local function lssp(parameters)
  local good <const>, err = check_words(parameters.type, POOL_TYPES, "type")
  if not good then
    return nil, err
  end
  local row = parameters.clustername and lists.CLUSTER_POOLS or lists.POOLS
  if parameters.bd then
    row = parameters.clustername and lists.LUS or lists.DEVICES
  end
  return row, parameters
end

local function lsmap(parameters)
  local good <const>, err = check_words(parameters.type, DEVICE_TYPES, "type")
  if not good then
    return nil, err
  elseif not parameters.all and not parameters.vadapter then
    return usage("option \"-all\" or \"-vadapter\" is missing",
      "use: lsmap -all, or lsmap -vadapter LPAR")
  elseif parameters.all and parameters.vadapter then
    return usage("it is either \"-all\" or \"-vadapter\"")
  end
  local row <const> = parameters.net and lists.NETWORKS
    or parameters.clustername and lists.CLUSTER_MAPPINGS or lists.MAPPINGS
  return row, parameters
end

-- "10g" as we have it: "10G".
local function size_of(parameters)
  if not parameters.size:match("^%d+%.?%d*%a") then
    return usage('"' .. parameters.size .. '" has no unit', "give 100M or 10G, for example")
  end
  return parameters.size:upper()
end

-- The name that `option` gives, or a word without one; "" when both do: it cannot be told.
local function name_of(parameters, option)
  return parameters[option] and parameters.name and "" or parameters[option] or parameters.name
end

-- The LU that is named by `option`, or by its UDID.
local function lu_of(parameters, option)
  local name <const> = name_of(parameters, option)
  if (name == nil) == (parameters.luudid == nil) or name == "" then
    return usage(('it takes one of "-%s" and "-luudid"'):format(option))
  end
  return parameters.luudid or parameters.sp and parameters.sp .. "/" .. name or name
end

local function make_lu(parameters, option)
  local name <const> = name_of(parameters, option)
  if not name or name == "" then
    return usage(('it takes one name, with "-%s"'):format(option))
  end
  local size <const>, err = size_of(parameters)
  if not size then
    return nil, err
  end
  return ours("lu create", in_cluster(parameters.clustername), {
    text = function(result) return ("Lu Name:%s\nLu Udid:%s"):format(name, result.udid) end,
  }), { name = name, size = size, pool = parameters.sp, thick = parameters.thick }
end

local function remove_lu(parameters, option)
  local lu <const>, err = lu_of(parameters, option)
  if not lu then
    return nil, err
  end
  return ours("lu remove", in_cluster(parameters.clustername), {
    text = function(result)
      return ('Logical unit %s with udid "%s" is removed.'):format(result.name, result.udid)
    end,
  }), { lu = lu }
end

local function resize_lu(parameters)
  local lu <const>, err = lu_of(parameters, "lu")
  local size <const>, why = size_of(parameters)
  if not lu or not size then
    return nil, err or why
  end
  return ours("lu resize", in_cluster(parameters.clustername)), { lu = lu, size = size }
end

local function clffdc(parameters)
  if parameters.correlator then
    return ours("ffdc collect"), { correlator = parameters.correlator }
  elseif not parameters.component then
    return usage('option "-c" is missing', "use: clffdc -c full [-p 1|2|3]")
  end
  local good <const>, err = check_words(parameters.priority, { "1", "2", "3" }, "p")
  if not good then
    return nil, err
  end
  return ours("ffdc capture"), { component = parameters.component:lower(),
    priority = PRIORITIES[parameters.priority] }
end

local function snap()
  return ours("ffdc capture"), { trigger = "snap" }
end

local function backup(parameters)
  return ours("db backup", in_cluster(parameters.clustername)), { path = parameters.file }
end

local function view(parameters)
  return ours("db check"), { what = parameters.file }
end

-- No daemon answers, so the backup is asked of which cluster it is.
local function restore(parameters, globals)
  local wanted <const> = parameters.clustername
  local function check(context, sent)
    local seen <const>, err = commands.row("db", "restore").preview(sent, {
      options = setmetatable({ dry_run = true }, { __index = context.options }),
      note = function() end,
    })
    if seen and seen.backup.cluster ~= wanted then
      return nil, vios.error("invalid", 'it is a backup of cluster "' .. seen.backup.cluster .. '"',
        { object = 'cluster "' .. wanted .. '"' })
    end
    return seen, err
  end
  globals.dry_run = globals.dry_run or parameters.validate
  return ours("db restore", wanted and check), { file = parameters.file }
end

local function rrstartlpar(parameters)
  local good <const>, err = check_words(parameters.operation, OPERATIONS, "o")
  if not good then
    return nil, err
  end
  local has_target <const> = parameters.operation == "restart" or parameters.operation == "validate"
  if parameters.target and not has_target then
    return usage('option "-t" is for restart and validate')
  end
  local source <const> = parameters.system
  local check <const> = source and function(context)
    return context.call("node.show", { node = source })
  end
  return ours("lpar " .. parameters.operation, check),
    { name = parameters.partition, node = parameters.target }
end

-- --- the rows ---

local function word(row)
  return { noun = row.name, summary = row.summary, powervm = true, rows = { row } }
end

local NO_STORAGE_ADAPTERS <const> = "lsmap -all shows the disks of guests, -net their networks"
local AT_CREATION <const> = "a guest is given its LUs when it is made: "
  .. "lpar create NAME --disk POOL/LU"
local BY_TIMER <const> = 'a timer that runs "vios db backup FILE"'
local VERIFY <const> = "ffdc show INCIDENT"

local groups <const> = {
  lssp = word({
    name = "lssp",
    summary = "list pools, or with -bd the LUs in them",
    means = lssp, stands_for = { "pool list", "pool show", "lu list" },
    options = {
      CLUSTER, SP,
      { name = "bd", words = "the LUs; with -clustername their UDIDs, without it their guests" },
      { name = "type", value = "TYPE", complete = POOL_TYPES,
        words = "only pools of this type; ours are CLPOOL" },
    },
    refused = { detail = "pool show POOL", default = "pool list", tier = "pool list" },
    examples = { "lssp -fmt :", "lssp -clustername prod",
      "lssp -clustername prod -sp p1 -bd -field luname luudid -fmt :" },
  }),
  lsmap = word({
    name = "lsmap",
    summary = "list what the virtual adapters of guests are mapped to",
    means = lsmap, stands_for = { "adapter list" },
    options = {
      { name = "all", words = "of all guests" },
      { name = "vadapter", value = "LPAR", complete = "lpar",
        words = "of this guest: its server adapter has its name" },
      CLUSTER,
      { name = "type", value = "TYPE", spread = true, complete = DEVICE_TYPES,
        words = "only devices of these types; ours are cl_disk (LUs), disk and file_disk" },
      { name = "net", words = "network cards instead of disks" },
      { name = "dec", words = "the client's id as a decimal number" },
    },
    refused = { npiv = NO_STORAGE_ADAPTERS, vnic = NO_STORAGE_ADAPTERS, ams = "paging list",
      suspend = "hibernation list", plc = "lsmap -vadapter LPAR", cpid = "lsmap -vadapter LPAR",
      hostname = "lsmap -all; Physloc begins with the node", vtd = "paging list" },
    examples = { "lsmap -all", "lsmap -all -fmt :", "lsmap -vadapter web1 -field backing" },
  }),
  mkbdsp = word({
    name = "mkbdsp",
    summary = "make an LU",
    means = function(parameters) return make_lu(parameters, "bd") end,
    stands_for = { "lu create" },
    arguments = { { name = "size", words = "how large it is, as 100M or 10G" } },
    options = { CLUSTER, SP, BD, THICK },
    refused = { vadapter = AT_CREATION, tn = AT_CREATION, luudid = AT_CREATION },
    examples = { "mkbdsp -clustername prod -sp p1 10G -bd web1" },
  }),
  rmbdsp = word({
    name = "rmbdsp",
    summary = "remove an LU, with all that is on it; asks, unless --yes",
    means = function(parameters) return remove_lu(parameters, "bd") end,
    stands_for = { "lu remove" },
    options = { CLUSTER, SP, BD, LUUDID },
    refused = { all = "lu remove LU, one by one", vtd = "lpar remove NAME", f = "--yes",
      savebd = "lpar remove NAME, which leaves its LUs" },
    examples = { "rmbdsp -clustername prod -sp p1 -bd web1 --yes" },
  }),
  clffdc = word({
    name = "clffdc",
    summary = "capture what all nodes know now; -g: again what is missing",
    means = clffdc, stands_for = { "ffdc capture", "ffdc collect" },
    options = {
      { name = "component", short = "c", value = "WORD", words = "what it is about, as full" },
      { name = "priority", short = "p", value = "NUMBER", words = "1 (high), 2 (medium) or 3 (low)",
        complete = { "1", "2", "3" } },
      { name = "correlator", short = "g", value = "INCIDENT", complete = "ffdc",
        words = "ask the nodes again that this one lacks" },
    },
    refused = { v = VERIFY, l = "ffdc list", f = "ffdc capture --trigger TEXT",
      n = "ffdc capture --trigger TEXT", s = VERIFY },
    examples = { "clffdc -c full -p 1", "clffdc -g 7" },
  }),
  snap = word({
    name = "snap",
    summary = "capture what all nodes know now",
    means = snap, stands_for = { "ffdc capture" },
    options = { { name = "general", words = "the same: everything is captured" } },
    refused = { gzip = "ffdc export INCIDENT FILE", copy = "ffdc export INCIDENT FILE",
      dev = "ffdc export INCIDENT FILE", M = "--timeout TIME", z = "ffdc capture" },
    examples = { "snap" },
  }),
  viosbr = {
    noun = "viosbr",
    summary = "back up, check or restore the VIOS DB",
    powervm = true,
    rows = {
      {
        verb = "backup",
        summary = "copy the VIOS DB to a file on the node",
        means = backup, stands_for = { "db backup" },
        options = { FILE, CLUSTER },
        refused = { frequency = BY_TIMER, numfiles = BY_TIMER },
        examples = { "viosbr -backup -file /var/backups/vios.db" },
      },
      {
        verb = "view",
        summary = "read a backup, and check that it is whole",
        means = view, stands_for = { "db check" },
        options = { FILE },
        refused = { clustername = "db restore FILE --dry-run, which names the backup's cluster",
          list = "the folder that your backups are in", type = "db get /", detail = "db get /",
          mapping = "adapter list" },
        examples = { "viosbr -view -file /var/backups/vios.db" },
      },
      {
        verb = "restore",
        summary = "put a backup in the place of a VIOS DB that is lost; asks, unless --yes",
        means = restore, stands_for = { "db restore" },
        options = { FILE, CLUSTER,
          { name = "validate", words = "only say what would be lost: --dry-run" } },
        refused = { inter = "it asks by itself", force = "--yes", type = "db restore FILE",
          curnode = "db restore FILE", subfile = "db restore FILE", db = "db restore FILE",
          repopvs = "db restore FILE --to ADDRESS", skipcluster = "db restore FILE",
          skipdevattr = "db restore FILE", xmlvtds = "db restore FILE" },
        examples = { "viosbr -restore -file /var/backups/vios.db -validate" },
      },
    },
  },
  rrstartlpar = word({
    name = "rrstartlpar",
    summary = "restart a hibernated guest, or mend a restart that was interrupted",
    means = rrstartlpar,
    stands_for = { "lpar restart", "lpar validate", "lpar cancel", "lpar cleanup", "lpar recover" },
    options = {
      { name = "operation", short = "o", value = "WORD", required = true, complete = OPERATIONS,
        words = "restart, validate, cancel, cleanup or recover" },
      { name = "system", short = "m", value = "NODE", complete = "node",
        words = "the node it was on; it need not be said" },
      { name = "target", short = "t", value = "NODE", complete = "node",
        words = "on this node, or on any; restart and validate only" },
      { name = "partition", short = "p", value = "LPAR", complete = "lpar", required = true,
        words = "the guest's name" },
    },
    refused = { id = "-p LPAR", ip = "-t NODE", u = "-t NODE", w = "--timeout TIME",
      d = "job list", v = "job list", nodetails = "--quiet", force = "rrstartlpar -o recover",
      usecurrdata = "lpar start NAME --from-storage", noconnection = "rrstartlpar -o recover",
      retaindev = "lpar restart NAME", redundantvios = "lpar validate NAME",
      mpio = "pool show POOL", f = "lpar restart NAME", i = "lpar restart NAME" },
    examples = { "rrstartlpar -o validate -p web1 -t n3", "rrstartlpar -o restart -p web1 -t n3" },
  }),
  ioslevel = word({
    name = "ioslevel",
    summary = "print the level of the node's software",
    means = function(parameters) return lists.LEVEL, parameters end,
    stands_for = { "node show" },
    examples = { "ioslevel" },
  }),
  ioscli = {
    noun = "ioscli",
    summary = "may stand before any command",
    powervm = true,
    builtin = true,
    rows = {
      {
        summary = "may stand before any command",
        raw = true,
        arguments = { { name = "command", many = true, words = "lssp -fmt :, for example" } },
        examples = { "ioscli lssp -fmt :" },
        run = function() -- the parser takes it away before it looks for a noun
          return usage("ioscli needs a command", "use: ioscli COMMAND ...")
        end,
      },
    },
  },
}

-- Verbs of our nouns that mean something else when they are typed as PowerVM has them.
local dashed <const> = {
  cluster = {
    {
      verb = "list",
      summary = "list the clusters that this node knows: its own",
      means = function(parameters) return lists.CLUSTERS, parameters end,
      stands_for = { "cluster list" },
      examples = { "cluster -list -fmt :" },
    },
    {
      verb = "status",
      summary = "show the state of the cluster, its nodes and their pools",
      means = function(parameters) return lists.STATUS, parameters end,
      stands_for = { "cluster status", "pool show" },
      options = { CLUSTER },
      refused = { verbose = "node list" },
      examples = { "cluster -status -fmt :", "cluster -status -clustername prod" },
    },
  },
  lu = {
    {
      verb = "list",
      summary = "list the LUs",
      means = function(parameters)
        return parameters.verbose and lists.LU_VERBOSE or lists.LU_LIST, parameters
      end,
      stands_for = { "lu list" },
      options = { CLUSTER, SP, { name = "verbose", words = "all that is known of each" } },
      refused = { tier = "lu -list -sp POOL", attr = "lu -list -field lu_name lu_provision_type" },
      examples = { "lu -list", "lu -list -sp p1 -field lu_name lu_udid -fmt :" },
    },
    {
      verb = "create",
      summary = "make an LU",
      means = function(parameters) return make_lu(parameters, "lu") end,
      stands_for = { "lu create" },
      arguments = { NAME },
      options = { CLUSTER, SP, LU, SIZE, THICK },
      refused = { vadapter = AT_CREATION, vtd = AT_CREATION, tier = "lu -create -sp POOL" },
      examples = { "lu -create -sp p1 -lu web1 -size 10G" },
    },
    {
      verb = "resize",
      summary = "make an LU larger, also while its guest runs",
      means = resize_lu, stands_for = { "lu resize" },
      arguments = { NAME },
      options = { CLUSTER, SP, LU, LUUDID, SIZE },
      examples = { "lu -resize -sp p1 -lu web1 -size 20G" },
    },
    {
      verb = "remove",
      summary = "remove an LU, with all that is on it; asks, unless --yes",
      means = function(parameters) return remove_lu(parameters, "lu") end,
      stands_for = { "lu remove" },
      arguments = { NAME },
      options = { CLUSTER, SP, LU, LUUDID },
      refused = { all = "lu remove LU, one by one", tier = "lu -remove -lu LU" },
      examples = { "lu -remove -sp p1 -lu web1 --yes" },
    },
  },
}

-- Commands and verbs of PowerVM that are none here, and what does it.
local elsewhere <const> = {
  lspv = "image discover", lsdev = "adapter list", lsvg = "pool list", lslv = "lu list",
  lscluster = "node list", chbdsp = "lu resize", mksp = "pool create", rmsp = "pool remove",
  mkvdev = "lpar create NAME --disk LU", rmvdev = "lpar remove", pv = "pool show",
  errlog = "event list", backupios = "db backup", restorevgstruct = "db restore",
  lssyscfg = "lpar list", chsysstate = "lpar start, lpar stop", migrlpar = "lpar migrate",
  ["cluster -addnode"] = "node token there, then node join TOKEN on the new node",
  ["cluster -rmnode"] = "node remove NODE", ["cluster -delete"] = "node remove NODE, one by one",
  ["lu -map"] = AT_CREATION, ["lu -unmap"] = "lpar remove NAME, which leaves its LUs",
  mkvterm = "lpar console", rmvterm = "lpar console", lsrrstartlpar = "lpar show",
}

return { groups = groups, dashed = dashed, elsewhere = elsewhere }
