-- capacity.lua - what the nodes and pools have, and what still fits:
--
--     vios scripts/capacity.lua --lpar-memory 2G
--
-- Of each node its memory, what of it its guests have and what is lent as page memory, what is
-- free; of the page memory what nobody was granted; and with --lpar-memory how many more guests of
-- that size it takes, which is none while it is not up, is drained, or is a witness. Of each pool
-- its space, and what its LUs may still promise. --json has it all as one object; --fmt and
-- --field are for the nodes, or with --pools for the pools. Exits 3 when a node does not answer.

local t <const> = vios.table
local execute <const> = require("vios.execute")

local NODE_COLUMNS <const> = { "name", "state", "guests", "memory_bytes", "guest_memory_bytes",
  "lent_bytes", "free_bytes", "page_memory_bytes", "page_free_bytes" }
local POOL_COLUMNS <const> = { "name", "state", "size_bytes", "used_bytes", "free_bytes",
  "promised_bytes", "unpromised_bytes", "lus", "images" }

local given <const> = vios.arguments({
  summary = "show what the nodes and pools have, and what still fits",
  options = {
    { name = "lpar_memory", value = "SIZE", type = "size", words = "how many guests of this size" },
    { name = "pools", words = "the pools alone" },
    "json", "fmt", "fmt2", "field", "header", "color", "socket",
  },
  examples = { "--lpar-memory 2G", "--json", "--fmt : --field name,free_bytes",
    "--pools --fmt : --field name,unpromised_bytes" },
})

if given.lpar_memory == 0 then
  return nil, vios.error("usage", "a guest has more memory than none",
    { object = "--lpar-memory", hint = "give a size, such as 2G" })
end

if given.lpar_memory then
  NODE_COLUMNS[#NODE_COLUMNS + 1] = "fits"
end

local status = 0

-- What a node has for guests; only one that is up says it.
local function capacity(node)
  if node.state ~= "up" and node.state ~= "drained" then
    return {}
  end
  local has <const>, err <const> = execute.call("daemon.capacity", {}, { on = node.name })
  if not has then
    io.stderr:write("capacity: ", node.name, ": ", tostring(err), "\n")
    status = 3 -- some nodes failed
  end
  return has or {}
end

local function how_many(node, free)
  if not given.lpar_memory or not free then
    return nil
  end
  local takes_guests <const> = node.state == "up" and node.role ~= "witness"
  return takes_guests and free // given.lpar_memory or 0
end

local function look_at_node(node)
  local has <const> = capacity(node)
  local shown <const> = assert(vios.node.show(node.name))
  return {
    name = node.name, state = node.state, guests = has.guests, memory_bytes = has.memory_bytes,
    guest_memory_bytes = has.guests_bytes, lent_bytes = has.lent_bytes, free_bytes = has.free_bytes,
    page_memory_bytes = shown.page_memory_bytes,
    page_free_bytes = shown.page_memory_bytes - shown.page_memory_used_bytes,
    fits = how_many(node, has.free_bytes),
  }
end

local function look_at_pool(pool)
  local size <const>, free <const> = pool.size_bytes, pool.free_bytes -- nil: it is not mounted
  local limited <const> = size and pool.overcommit > 0
  return {
    name = pool.name, state = pool.state, size_bytes = size, free_bytes = free,
    used_bytes = size and free and size - free, promised_bytes = pool.promised_bytes,
    unpromised_bytes = limited
      and math.max(0, size * pool.overcommit // 100 - pool.promised_bytes) or nil,
    lus = pool.lus, images = pool.images,
  }
end

local function each(list, look)
  local shown <const> = vios.json.array({})
  for index, object in ipairs(list) do
    shown[index] = look(object)
  end
  return shown
end

local pools <const> = each(assert(vios.pool.list()), look_at_pool)
local nodes <const> = given.pools and {} or each(assert(vios.node.list()), look_at_node)
local fits <const> = given.lpar_memory and t.sum(nodes, "fits")

-- What is not known is null there, and not left out.
local function whole(list, columns)
  for _, object in ipairs(list) do
    for _, name in ipairs(columns) do
      object[name] = object[name] == nil and vios.json.null or object[name]
    end
  end
  return list
end

local function show(columns, list)
  assert(vios.printer.print({ columns = columns }, list, given))
end

if given.pools then
  show(POOL_COLUMNS, pools)
elseif given.json then
  show({ "nodes", "pools", "fits" }, { nodes = whole(nodes, NODE_COLUMNS),
    pools = whole(pools, POOL_COLUMNS), fits = fits })
else
  show(NODE_COLUMNS, nodes)
  if not (given.fmt or given.fmt2 or given.field) then
    if #pools > 0 then
      print()
      show(POOL_COLUMNS, pools)
    end
    io.write(fits and ("\n%d more guests of %s fit\n"):format(fits,
      vios.printer.size(given.lpar_memory)) or "")
  end
end
os.exit(status)
