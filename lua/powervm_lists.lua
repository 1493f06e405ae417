-- powervm_lists.lua - what PowerVM's listing commands say of our pools, LUs, guests and nodes,
-- under PowerVM's names. Each is a row without words of its own: powervm.lua has those. Sizes are
-- whole MB, and what is not known is empty.

local vios <const> = require("vios")
local connection <const> = require("vios.connection")
local printer <const> = require("vios.printer")

local MIB <const> = 1048576
local POOL_TYPE <const> = "CLPOOL"
local TIER <const> = "SYSTEM" -- the only one, which every pool of PowerVM has
local NULL <const> = vios.json.null

local lists = {}

local function mb(bytes)
  return math.type(bytes) == "integer" and bytes // MIB or NULL
end

local function thickness(lu)
  return lu.thick and "THICK" or "THIN"
end

local function used_percent(lu)
  return lu.used_bytes and lu.used_bytes * 100 // lu.size_bytes or NULL
end

local function unused_mb(lu)
  return lu.used_bytes and mb(math.max(0, lu.size_bytes - lu.used_bytes)) or NULL
end

-- The objects of a method as `change` makes them; those for which it returns nil are left out.
local function each_of(context, method, parameters, change)
  local found, err = context.call(method, parameters)
  if not found then
    return nil, err
  end
  local rows <const> = vios.json.array({})
  for _, object in ipairs(found) do
    rows[#rows + 1] = change(object)
  end
  return rows
end

-- The cluster; an error when it is not the one of that name, if a name is given.
function lists.cluster(context, name)
  local found <const>, err = context.call("cluster.list", {})
  local cluster <const> = found and found[1]
  if not cluster or not name or cluster.name == name then
    return cluster, err
  end
  return nil, vios.error("not_found", "there is no such cluster",
    { object = 'cluster "' .. name .. '"', hint = 'did you mean "' .. cluster.name .. '"?' })
end

-- --- how they look ---

-- "POOL_NAME:    p1", a line for each field, and an empty line between two objects.
local function blocks(titles)
  return function(objects, fields)
    local width = 0
    for _, name in ipairs(fields) do
      width = math.max(width, #titles[name] + 1)
    end
    for number, object in ipairs(objects) do
      io.write(number > 1 and "\n" or "")
      for _, name in ipairs(fields) do
        local line <const> = ("%-" .. width .. "s  %s"):format(titles[name] .. ":",
          printer.cell(object[name]))
        io.write((line:gsub("%s+$", "")), "\n")
      end
    end
  end
end

-- A row that is only run: what it prints, and with --dry-run what it stands for.
local function list(row)
  row.arguments, row.options, row.powervm = {}, {}, true
  row.restricted = true -- methods are all that they call
  return row
end

-- --- lssp ---

-- One pool, which says more, or all of them.
local function pools(parameters, context)
  if parameters.sp then
    local pool <const>, err = context.call("pool.show", { name = parameters.sp })
    return pool and { pool }, err
  end
  return context.call("pool.list", {})
end

lists.POOLS = list({
  method = "pool.list",
  columns = { "pool", "size", "free", "alloc", "bds", "type" },
  titles = { pool = "Pool", size = "Size(mb)", free = "Free(mb)", alloc = "Alloc Size(mb)",
    bds = "BDs", type = "Type" },
  run = function(parameters, context)
    local found <const>, err = pools(parameters, context)
    local rows <const> = vios.json.array({})
    local fits <const> = not parameters.type or parameters.type == POOL_TYPE
    for _, pool in ipairs(found and fits and found or {}) do
      rows[#rows + 1] = { pool = pool.name, size = mb(pool.size_bytes), free = mb(pool.free_bytes),
        alloc = 1, bds = pool.lus, type = POOL_TYPE }
    end
    return found and rows, err
  end,
})

local CLUSTER_POOL_TITLES <const> = { pool = "POOL_NAME", size = "POOL_SIZE(MB)",
  free = "FREE_SPACE(MB)", total = "TOTAL_LU_SIZE(MB)", overcommit = "OVERCOMMIT_SPACE(MB)",
  lus = "TOTAL_LUS", type = "POOL_TYPE", id = "POOL_ID" }

local function cluster_pool(pool)
  local over <const> = pool.size_bytes and math.max(0, pool.promised_bytes - pool.size_bytes)
  return { pool = pool.name, size = mb(pool.size_bytes), free = mb(pool.free_bytes),
    total = mb(pool.promised_bytes), overcommit = mb(over), lus = pool.lus, type = POOL_TYPE,
    id = pool.uuid }
end

lists.CLUSTER_POOLS = list({
  method = "pool.list",
  columns = { "pool", "size", "free", "total", "overcommit", "lus", "type", "id" },
  titles = CLUSTER_POOL_TITLES,
  layout = blocks(CLUSTER_POOL_TITLES),
  run = function(parameters, context)
    local found, err = lists.cluster(context, parameters.clustername)
    if found then
      found, err = pools(parameters, context)
    end
    local rows <const> = vios.json.array({})
    for _, pool in ipairs(found or {}) do
      local shown <const>, why = context.call("pool.show", { name = pool.name }) -- with its uuid
      if not shown then
        return nil, why
      end
      rows[#rows + 1] = cluster_pool(shown)
    end
    return found and rows, err
  end,
})

lists.LUS = list({
  method = "lu.list",
  columns = { "luname", "size", "provisiontype", "usage", "unused", "luudid" },
  titles = { luname = "Lu Name", size = "Size(mb)", provisiontype = "ProvisionType",
    usage = "%Used", unused = "Unused(mb)", luudid = "Lu Udid" },
  run = function(parameters, context)
    local good <const>, err = lists.cluster(context, parameters.clustername)
    if not good then
      return nil, err
    end
    return each_of(context, "lu.list", { pool = parameters.sp }, function(lu)
      return { luname = lu.name, size = mb(lu.size_bytes), provisiontype = thickness(lu),
        usage = used_percent(lu), unused = unused_mb(lu), luudid = lu.udid }
    end)
  end,
})

lists.DEVICES = list({
  method = "lu.list",
  columns = { "bdname", "size", "vtd", "svsa" },
  titles = { bdname = "Name", size = "Size(mb)", vtd = "VTD", svsa = "SVSA" },
  run = function(parameters, context)
    local vtds <const> = {}
    local adapters <const>, err = each_of(context, "adapter.list", {}, function(adapter)
      vtds[adapter.backing] = adapter.id
    end)
    if not adapters then
      return nil, err
    end
    return each_of(context, "lu.list", { pool = parameters.sp }, function(lu)
      return { bdname = lu.name, size = mb(lu.size_bytes),
        vtd = vtds[lu.pool .. "/" .. lu.name] or "None", svsa = lu.mapped_to or "None" }
    end)
  end,
})

-- --- lsmap ---

local MAPPING_TITLES <const> = { svsa = "SVSA", physloc = "Physloc",
  clientid = "Client Partition ID", vtd = "VTD", status = "Status", lun = "LUN",
  backing = "Backing device", bdphysloc = "Physloc", mirrored = "Mirrored" }
local VTD_COLUMNS <const> = { "vtd", "status", "lun", "backing", "bdphysloc", "mirrored" }

-- Of a guest's adapter: unique, and it names the node, if any.
local function location(lpar)
  return (lpar.node or "") ~= "" and lpar.node .. "-" .. lpar.name or lpar.name
end

-- A guest has a UUID and no number: the first 32 bits of it.
local function client_id(lpar, is_decimal)
  local digits <const> = lpar.uuid:sub(1, 8)
  return is_decimal and tonumber(digits, 16) or "0x" .. digits
end

-- What stands behind a disk, as PowerVM's scripts compare it: NAME.UDID of an LU, or the path.
local function backing_of(adapter, udids)
  local udid <const> = udids[adapter.backing]
  return udid and adapter.backing:match("[^/]*$") .. "." .. udid or adapter.backing
end

local function kind_of(adapter, udids)
  return udids[adapter.backing] and "cl_disk" or adapter.backing:match("^/dev/") and "disk"
    or "file_disk"
end

local function vtd_of(adapter, udids)
  return {
    vtd = adapter.id, status = adapter.node ~= "" and "Available" or "Defined",
    lun = ("0x%02x00000000000000"):format(0x80 + adapter.slot),
    backing = backing_of(adapter, udids), bdphysloc = "", mirrored = "false",
  }
end

-- The UDIDs of the LUs, by POOL/NAME.
local function udids_of(context)
  local udids <const> = {}
  local found <const>, err = each_of(context, "lu.list", {}, function(lu)
    udids[lu.pool .. "/" .. lu.name] = lu.udid
  end)
  return found and udids, err
end

local function is_wanted(kinds, kind)
  return not kinds or ("," .. kinds .. ","):find("," .. kind .. ",", 1, true) ~= nil
end

-- The disks of each guest, by its name.
local function disks_of(parameters, context)
  local disks <const> = {}
  local udids <const>, err = udids_of(context)
  if not udids then
    return nil, err
  end
  local found <const>, why = each_of(context, "adapter.list", { lpar = parameters.vadapter },
    function(adapter)
      if adapter.kind == "disk" and is_wanted(parameters.type, kind_of(adapter, udids)) then
        disks[adapter.lpar] = disks[adapter.lpar] or vios.json.array({})
        table.insert(disks[adapter.lpar], vtd_of(adapter, udids))
      end
    end)
  return found and disks, why
end

local function mappings(parameters, context)
  local disks, err = lists.cluster(context, parameters.clustername)
  if disks then
    disks, err = disks_of(parameters, context)
  end
  if not disks then
    return nil, err
  end
  return each_of(context, "lpar.list", {}, function(lpar)
    local vtds <const> = disks[lpar.name] or vios.json.array({})
    local hidden <const> = parameters.type and #vtds == 0
    if not hidden and (not parameters.vadapter or parameters.vadapter == lpar.name) then
      return { svsa = lpar.name, physloc = location(lpar),
        clientid = client_id(lpar, parameters.dec), vtds = vtds }
    end
  end)
end

local function write_line(label, value)
  io.write((("%-21s %s"):format(label, printer.cell(value)):gsub("%s+$", "")), "\n")
end

-- "SVSA  Physloc  Client Partition ID", and below it each of its devices.
local function write_mapping(mapping)
  local form <const> = "%-15s %-44s %s\n"
  io.write(form:format("SVSA", "Physloc", "Client Partition ID"))
  io.write(form:format(("-"):rep(15), ("-"):rep(44), ("-"):rep(18)))
  io.write(form:format(mapping.svsa, mapping.physloc, mapping.clientid))
  for _, vtd in ipairs(mapping.vtds) do
    io.write("\n")
    for _, name in ipairs(VTD_COLUMNS) do
      write_line(MAPPING_TITLES[name], vtd[name])
    end
  end
  if #mapping.vtds == 0 then
    write_line("VTD", "NO VIRTUAL TARGET DEVICE FOUND")
  end
end

local function write_fields(mapping, fields)
  for _, name in ipairs(fields) do
    if mapping[name] ~= nil then
      write_line(MAPPING_TITLES[name], mapping[name])
    end
    for _, vtd in ipairs(mapping[name] == nil and mapping.vtds or {}) do
      write_line(MAPPING_TITLES[name], vtd[name])
    end
  end
end

local function mappings_layout(objects, fields, globals)
  for number, mapping in ipairs(objects) do
    io.write(number > 1 and "\n" or "")
    if globals.field then
      write_fields(mapping, fields)
    else
      write_mapping(mapping)
    end
  end
end

lists.MAPPINGS = list({
  method = "adapter.list",
  columns = table.move(VTD_COLUMNS, 1, #VTD_COLUMNS, 4, { "svsa", "physloc", "clientid" }),
  titles = MAPPING_TITLES,
  repeated = "vtds",
  run = mappings,
  layout = mappings_layout,
})

-- PowerVM has a line for each device here, and says no name of the adapter.
lists.CLUSTER_MAPPINGS = list({
  method = "adapter.list",
  columns = { "physloc", "clientid", "vtd", "lun", "backing" },
  titles = MAPPING_TITLES,
  run = function(parameters, context)
    local found <const>, err = mappings(parameters, context)
    local rows <const> = vios.json.array({})
    for _, mapping in ipairs(found or {}) do
      for _, vtd in ipairs(mapping.vtds) do
        rows[#rows + 1] = { physloc = mapping.physloc, clientid = mapping.clientid, vtd = vtd.vtd,
          lun = vtd.lun, backing = vtd.backing }
      end
    end
    return found and rows, err
  end,
})

lists.NETWORKS = list({
  method = "adapter.list",
  columns = { "svea", "physloc", "sea", "backing", "status", "bdphysloc" },
  titles = { svea = "SVEA", physloc = "Physloc", sea = "SEA", backing = "Backing device",
    status = "Status", bdphysloc = "Physloc" },
  run = function(parameters, context)
    return each_of(context, "adapter.list", { lpar = parameters.vadapter }, function(adapter)
      return adapter.kind == "network" and {
        svea = adapter.lpar .. "-" .. adapter.id,
        physloc = location({ name = adapter.lpar, node = adapter.node }) .. "-" .. adapter.id,
        sea = adapter.backing:match("^bridge:(.*)$") or "", backing = adapter.backing,
        status = adapter.node ~= "" and "Available" or "Defined", bdphysloc = "",
      } or nil
    end)
  end,
})

-- --- cluster ---

local CLUSTER_TITLES <const> = { cluster_name = "CLUSTER_NAME", cluster_id = "CLUSTER_ID" }

lists.CLUSTERS = list({
  method = "cluster.list",
  columns = { "cluster_name", "cluster_id" },
  titles = CLUSTER_TITLES,
  layout = blocks(CLUSTER_TITLES),
  run = function(_, context)
    return each_of(context, "cluster.list", {}, function(cluster)
      return { cluster_name = cluster.name, cluster_id = cluster.uuid }
    end)
  end,
})

local NODE_STATES <const> = { up = "OK", drained = "OK", suspect = "DEGRADED", down = "DOWN" }
local WORSE <const> = { OK = 1, DEGRADED = 2, DOWN = 3 }

-- The state of all pools as each node has them: the worst of them.
local function pool_states(context)
  local states <const> = {}
  local found <const>, err = context.call("pool.list", {})
  for _, pool in ipairs(found or {}) do
    local shown <const>, why = context.call("pool.show", { name = pool.name })
    if not shown then
      return nil, why
    end
    for _, node in ipairs(shown.nodes) do
      local state <const> = node.mounted == nil and "" or node.writable and "OK"
        or node.mounted and "DEGRADED" or "DOWN"
      if state ~= "" and (WORSE[state] > (WORSE[states[node.node]] or 0)) then
        states[node.node] = state
      end
    end
  end
  return found and states, err
end

local STATUS_TITLES <const> = { cluster_name = "Cluster Name", cluster_state = "State",
  node_name = "Node Name", node_mtm = "MTM", node_partition_num = "Partition Num",
  node_state = "State", pool_state = "Pool State" }

-- The cluster, and below it its nodes.
local function status_layout(objects, fields, globals)
  if globals.field then
    return printer.table(objects, fields, globals, nil, { titles = STATUS_TITLES })
  end
  printer.table({ objects[1] }, { "cluster_name", "cluster_state" }, globals, nil,
    { titles = STATUS_TITLES })
  io.write("\n")
  printer.table(objects, { "node_name", "node_mtm", "node_partition_num", "node_state",
    "pool_state" }, globals, function() return "    " end, { titles = STATUS_TITLES })
end

lists.STATUS = list({
  method = "cluster.status",
  columns = { "cluster_name", "cluster_state", "node_name", "node_mtm", "node_partition_num",
    "node_state", "pool_state" },
  titles = STATUS_TITLES,
  layout = status_layout,
  run = function(parameters, context)
    local states, err = lists.cluster(context, parameters.clustername)
    if states then
      states, err = pool_states(context)
    end
    if not states then
      return nil, err
    end
    local status <const>, why = context.call("cluster.status", {})
    local rows <const> = vios.json.array({})
    for _, node in ipairs(status and status.nodes or {}) do
      rows[#rows + 1] = { cluster_name = status.name, cluster_state = status.state,
        node_name = node.name, node_mtm = NULL, node_partition_num = NULL,
        node_state = NODE_STATES[node.state] or "DOWN", pool_state = states[node.name] or NULL }
    end
    return status and rows, why
  end,
})

-- --- lu ---

local LU_TITLES <const> = { pool_name = "POOL_NAME", tier_name = "TIER_NAME", lu_name = "LU_NAME",
  lu_size = "LU_SIZE(MB)", lu_unused_space = "LU_UNUSED_SPACE(MB)", lu_udid = "LU_UDID",
  lu_used_percent = "LU_USED_PERCENT", lu_used_space = "LU_USED_SPACE(MB)",
  lu_provision_type = "LU_PROVISION_TYPE", lu_udid_derived_from = "LU_UDID_DERIVED_FROM" }
local LU_TABLE <const> = { titles = { lu_name = "LU_NAME", lu_size = "SIZE(MB)",
  lu_unused_space = "UNUSED(MB)", lu_udid = "UDID" } }

local function lus(parameters, context)
  local good <const>, err = lists.cluster(context, parameters.clustername)
  if not good then
    return nil, err
  end
  return each_of(context, "lu.list", { pool = parameters.sp }, function(lu)
    return { pool_name = lu.pool, tier_name = TIER, lu_name = lu.name, lu_size = mb(lu.size_bytes),
      lu_unused_space = unused_mb(lu), lu_udid = lu.udid, lu_used_percent = used_percent(lu),
      lu_used_space = mb(lu.used_bytes), lu_provision_type = thickness(lu),
      lu_udid_derived_from = lu.origin or "N/A" }
  end)
end

-- A table for each pool, below its name. They come sorted by it.
local function lus_layout(objects, fields, globals)
  if globals.field then
    return printer.table(objects, fields, globals, nil, { titles = LU_TITLES })
  end
  local first = 1
  for number, lu in ipairs(objects) do
    local next_one <const> = objects[number + 1]
    if not next_one or next_one.pool_name ~= lu.pool_name then
      io.write(first > 1 and "\n" or "", "POOL_NAME: ", lu.pool_name, "\nTIER_NAME: ", TIER, "\n")
      printer.table({ table.unpack(objects, first, number) },
        { "lu_name", "lu_size", "lu_unused_space", "lu_udid" }, globals, nil, LU_TABLE)
      first = number + 1
    end
  end
end

local LU_MORE <const> = { "lu_used_percent", "lu_used_space", "lu_provision_type",
  "lu_udid_derived_from" }
local LU_COLUMNS <const> = { "pool_name", "tier_name", "lu_name", "lu_size", "lu_unused_space",
  "lu_udid" }

lists.LU_LIST = list({
  method = "lu.list", columns = LU_COLUMNS, more = LU_MORE, titles = LU_TITLES,
  run = lus, layout = lus_layout,
})

lists.LU_VERBOSE = list({
  method = "lu.list",
  columns = table.move(LU_MORE, 1, #LU_MORE, #LU_COLUMNS + 1, { table.unpack(LU_COLUMNS) }),
  titles = LU_TITLES, run = lus, layout = blocks(LU_TITLES),
})

-- --- ioslevel ---

lists.LEVEL = list({
  method = "node.show",
  columns = { "level" },
  text = function(result) return tostring(result.level) end,
  run = function(_, context)
    local client <const>, route <const> = connection.get(context.options)
    if not client then
      return nil, route
    end
    local node <const>, why = context.call("node.show",
      { node = route.node or client:hello().node })
    return node and { level = node.level }, why
  end,
})

return lists
