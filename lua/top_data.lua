-- top_data.lua - what `top` shows, as one object: the cluster, its nodes, its LPARs. It is made of
-- a few calls; the paging rates come from the counters of two looks.

local vios <const> = require("vios")
local connection <const> = require("vios.connection")
local execute <const> = require("vios.execute")

local data = {}

local OPEN_MS <const> = 1000
local CALL_TIMEOUT <const> = "2s"
local HOST_TIMEOUT <const> = "1s"
local WINDOW_MS <const> = 2000 -- a rate is over no less, if it can: io is asked once a second
local AVOID_MS <const> = 10000 -- a host that did not answer is not asked again for so long

-- Puts a look at a device's counters ({ ms, pages_in, pages_out }) behind those of before, and
-- returns the pages in and out per second; nothing as long as there is only one look.
function data.rates(looks, look)
  local last <const> = looks[#looks]
  if last and (look.pages_in < last.pages_in or look.pages_out < last.pages_out) then
    for i = #looks, 1, -1 do -- they began anew, with the guest
      looks[i] = nil
    end
  end
  while looks[2] and look.ms - looks[2].ms >= WINDOW_MS do
    table.remove(looks, 1)
  end
  looks[#looks + 1] = look
  local seconds <const> = (look.ms - looks[1].ms) / 1000
  if seconds <= 0 then
    return nil
  end
  local function rate(name)
    return math.floor((look[name] - looks[1][name]) / seconds + 0.5)
  end
  return rate("pages_in"), rate("pages_out")
end

-- The object, of the four lists as the daemon gave them. `looks` (uuid of a device -> its looks) is
-- brought up to date.
function data.join(lists, looks, now_ms)
  local devices <const>, there <const>, lpars <const> = {}, {}, vios.json.array({})
  for _, device in ipairs(lists.paging) do
    devices[device.lpar] = device
    there[device.uuid or device.lpar] = true
  end
  for key in pairs(looks) do
    looks[key] = there[key] and looks[key] or nil
  end
  for i, lpar in ipairs(lists.lpars) do
    local device <const> = devices[lpar.name] or {}
    local shown <const> = { name = lpar.name, state = lpar.state, node = lpar.node,
      memory_mib = lpar.memory_mib, generation = lpar.generation, paging = device.state }
    if device.pages_in and device.pages_out then
      local key <const> = device.uuid or device.lpar
      looks[key] = looks[key] or {}
      shown.pages_in_per_s, shown.pages_out_per_s = data.rates(looks[key],
        { ms = now_ms, pages_in = device.pages_in, pages_out = device.pages_out })
    end
    lpars[i] = shown
  end
  local nodes <const> = vios.json.array({})
  for i, node in ipairs(lists.nodes) do
    nodes[i] = { name = node.name, state = node.state, role = node.role, since = node.since,
      page_memory_bytes = node.page_memory_bytes,
      page_memory_used_bytes = node.page_memory_used_bytes }
  end
  local cluster <const> = lists.cluster
  return { name = cluster.name, state = cluster.state, primary = cluster.primary,
    epoch = cluster.epoch, nodes = nodes, lpars = lpars }
end

local function call(method, options, timeout)
  return execute.call(method, {}, setmetatable({ timeout = options.timeout or timeout },
    { __index = options }))
end

-- The nodes that host a device whose counters this daemon does not have, and that would answer.
local function other_hosts(lists)
  local up <const>, hosts <const> = {}, {}
  for _, node in ipairs(lists.nodes) do
    up[node.name] = node.state == "up" or node.state == "drained"
  end
  for _, device in ipairs(lists.paging) do
    if not device.pages_in and device.node and up[device.node] and not hosts[device.node] then
      hosts[device.node] = true
      hosts[#hosts + 1] = device.node
    end
  end
  return hosts
end

-- Only its host counts a device's pages: it is asked, once for all of its devices.
local function ask_hosts(lists, avoid, options)
  for _, host in ipairs(other_hosts(lists)) do
    if (avoid[host] or 0) <= vios.os.now_ms() then
      local there <const> = call("paging.list",
        setmetatable({ on = host }, { __index = options }), HOST_TIMEOUT)
      local counted <const> = {}
      for _, device in ipairs(there or {}) do
        counted[device.lpar] = device.pages_in and device or nil
      end
      for i, device in ipairs(lists.paging) do
        lists.paging[i] = device.node == host and counted[device.lpar] or device
      end
      avoid[host] = not there and vios.os.now_ms() + AVOID_MS or nil
    end
  end
end

-- A memory for look(), which keeps there what the next one needs.
function data.memory()
  return { looks = {}, avoid = {}, last = {} }
end

-- Asks the daemon: the object; nil, err. When the VIOS DB does not answer, the object has of it
-- what was seen last, and the error comes second.
function data.look(memory, options)
  local client <const>, err <const> = connection.get(options, OPEN_MS)
  if not client then
    return nil, err
  end
  local lists <const> = {}
  local missing
  for _, each in ipairs({ { "cluster", "cluster.status" }, { "nodes", "node.list" },
    { "lpars", "lpar.list" }, { "paging", "paging.list" } }) do
    local name <const>, method <const> = each[1], each[2]
    local list <const>, why <const> = call(method, options, CALL_TIMEOUT)
    if not list and (name == "cluster" or name == "nodes") then
      return nil, why
    end
    missing = missing or why
    lists[name] = list or memory.last[name] or {}
    memory.last[name] = lists[name]
    if why and why.code ~= "cancelled" and not client:alive() then
      return nil, why
    end
  end
  ask_hosts(lists, memory.avoid, options)
  return data.join(lists, memory.looks, vios.os.now_ms()), missing
end

return data
