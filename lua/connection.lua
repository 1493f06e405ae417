-- connection.lua - where a call goes, and the connections, which are kept open.
--
-- The daemon of this machine is at --socket, else $VIOS_SOCKET, else /run/vios/vios.sock, else that
-- of the first node of the user's lab; in the restricted shell it is the one that that was begun
-- with, else /run/vios/vios.sock. --on NAME goes through it when its cluster has a node of
-- that name: it calls the other daemon. What is written as USER@HOST or ssh:HOST is reached by ssh,
-- and so is any name where no daemon answers, or one that is in no cluster.

local vios <const> = require("vios")
local lab_folder <const> = require("vios.lab_folder")
local restricted <const> = require("vios.restricted")
local system <const> = vios.os

local connection = {}

local SYSTEM_SOCKET <const> = "/run/vios/vios.sock"
local OPEN_MS <const> = { unix = 5000, ssh = 10000 }
local LIMIT_MS <const> = 5000
local LIST_TIMEOUT_MS <const> = 2000
local LIST_KEPT_MS <const> = 2000 -- how long the names of the members are believed
local kept = {} -- address -> clients, one for each call that ran beside others

-- The route without a node, of the call that was made last.
connection.used = nil

-- The options that the shell itself was given (socket, on, timeout); a call's own come first.
connection.defaults = {}

-- The path of the socket to connect to; nil and an error when there is none.
function connection.socket(options)
  if restricted.on() then
    return restricted.socket() or SYSTEM_SOCKET
  end
  local given = options.socket or connection.defaults.socket or os.getenv("VIOS_SOCKET")
  if given and given ~= "" then
    return (given:gsub("^unix:", ""))
  end
  if system.kind(SYSTEM_SOCKET) then
    return SYSTEM_SOCKET
  end
  local dir <const> = lab_folder.path()
  local nodes <const> = lab_folder.nodes(dir)
  for _, node in ipairs(nodes) do
    if system.connectable(lab_folder.socket(dir, node)) then
      return lab_folder.socket(dir, node)
    end
  end
  if #nodes > 0 then
    return lab_folder.socket(dir, nodes[1])
  end
  return nil, vios.error("unreachable", "no daemon runs on this machine",
    { hint = 'start a throw-away cluster with "vios lab up", or a node with "vios daemon"' })
end

local function open_ms(address, given)
  return given or OPEN_MS[address:match("^%a+")]
end

-- A client at the address that no call uses; it may not be open.
local function free_client(address)
  kept[address] = kept[address] or {}
  for _, client in ipairs(kept[address]) do
    if not client:busy() then
      return client
    end
  end
  local client <const> = vios.rpc.client(address)
  table.insert(kept[address], client)
  return client
end

-- Says where we came from by SSH, for the audit, and gives up what is beyond our role: true, or
-- nil, err. A daemon that knows no limits is one of the level before; then only a role matters.
local function limit(client, given_ms)
  local from <const> = (os.getenv("SSH_CONNECTION") or ""):match("^[%w.:%%_-]+")
  local role <const> = restricted.role()
  if not role and not from then
    return true
  end
  local result, err = client:call("rpc.limit", { role = role, from = from },
    { timeout_ms = given_ms or LIMIT_MS })
  return (result or not role and err.code == "usage") and true or nil, err
end

-- The same, open; nil, err. Who gives it a time of their own has none for questions. The daemon of
-- this machine is limited, one behind ssh limits itself.
local function opened(address, given_ms)
  local client <const> = free_client(address)
  if client:alive() then
    return client
  end
  local ask <const> = not given_ms and require("vios.parallel").ask or nil
  local ok, err = client:open(open_ms(address, given_ms), ask)
  if ok and not address:match("^ssh:") then
    ok, err = limit(client, given_ms)
  end
  if not ok then
    client:close()
    return nil, err
  end
  return client
end

-- A way by ssh, which is the user's own and not the restricted shell's.
local function by_ssh(host)
  if restricted.on() then
    return nil, vios.error("usage", "the restricted shell reaches members of the cluster only",
      { object = '"' .. host .. '"', hint = 'see "node list"' })
  end
  return { address = "ssh:" .. host }
end

-- The daemon of this machine; nil, err.
local function here(options, given_ms)
  local path, err = connection.socket(options)
  if not path then
    return nil, err
  end
  return opened("unix:" .. path, given_ms)
end

-- The names of the members of the cluster, as the daemon here knows them: list and set; nil when it
-- is in no cluster, or there is none. An error: it is in one, and cannot say.
local members <const> = {}

local function is_no_cluster(err)
  return err.code == "unreachable"
end

function connection.members(options)
  local path <const> = connection.socket(options)
  local now <const> = system.now_ms()
  if members.path == path and members.list and now - members.at < LIST_KEPT_MS then
    return members.list
  end
  local client, err = here(options)
  local list
  if client then
    list, err = client:call("node.list", {}, { timeout_ms = LIST_TIMEOUT_MS })
  end
  if not list then
    return nil, not is_no_cluster(err) and err or nil
  end
  members.path, members.at, members.list = path, now, list
  for _, node in ipairs(list) do
    list[node.name] = node
  end
  return list
end

local function unknown_node(name, list)
  local names = {}
  for i, node in ipairs(list) do
    names[i] = node.name
  end
  local nearest <const> = require("vios.nearest").hint(name, names)
  return vios.error("not_found", "the cluster has no such node" .. nearest,
    { object = 'node "' .. name .. '"', hint = "a host that is none is reached by ssh:" .. name })
end

-- Where a call with these options goes: { address, node = the one that the daemon there is to call,
-- if another }; nil, err. `options.route` is one of before.
function connection.route(options)
  if options.route then
    return options.route
  end
  local on <const> = options.on or connection.defaults.on
  local path, err = connection.socket(options)
  if not on then
    return path and { address = "unix:" .. path } or nil, err
  elseif on:match("^ssh:.") then
    return by_ssh(on:sub(5))
  elseif on:match("@") then
    return by_ssh(on)
  end
  local list, failure = connection.members(options)
  if not list and not failure then
    return by_ssh(on)
  elseif list and not list[on] then
    return nil, unknown_node(on, list)
  end
  local client
  client, err = here(options)
  if not client then
    return nil, err
  end
  return { address = "unix:" .. path, node = client:hello().node ~= on and on or nil }
end

local function primary(options)
  local client, err = here(options)
  local shown
  if client then
    shown, err = client:call("primary.show", {}, { timeout_ms = LIST_TIMEOUT_MS })
  end
  if shown and not shown.node then
    return nil, vios.error("not_found", "there is no primary just now", { object = "@primary" })
  end
  return shown and { shown.node }, err
end

local function group_of(options)
  return function(name)
    if name == "primary" then
      return primary(options)
    elseif name ~= "all" and not restricted.on() then
      return require("vios.node_set").group(name)
    elseif name ~= "all" then
      return nil, vios.error("usage", "the restricted shell has no groups but @all and @primary",
        { object = "@" .. name })
    end
    local list, err = connection.members(options)
    if not list then
      return nil, err or select(2, connection.socket(options))
        or vios.error("unreachable", "no daemon here says which nodes there are",
          { object = "@all", hint = "name them, or a group" })
    end
    local names = {}
    for i, node in ipairs(list) do
      names[i] = node.name
    end
    return names
  end
end

-- The nodes that --on names: a list, nil when it was not given; nil, err when it cannot be.
function connection.targets(options)
  local on = options.on or connection.defaults.on
  if not on then
    return nil
  elseif on:match("^[,%s]*$") then
    return nil, vios.error("usage", '"' .. on .. '" names no node',
      { object = "--on", hint = "give names, as n1,n2, or @all" })
  end
  local nodes, err = require("vios.node_set").expand(on, group_of(options))
  if nodes and #nodes == 0 then
    return nil, vios.error("not_found", "no node is left of it", { object = '"' .. on .. '"' })
  end
  return nodes, err
end

-- An open connection for these options, and the route; nil, err. Opening may take `given_ms`.
function connection.get(options, given_ms)
  local route, err = connection.route(options)
  if not route then
    return nil, err
  end
  connection.used = { address = route.address }
  local client
  client, err = opened(route.address, given_ms)
  return client, client and route or err
end

-- A client for a call beside others, which vios.tasks opens where that takes time; nil, err.
function connection.take(route)
  if route.address:match("^ssh:") then
    return free_client(route.address)
  end
  return opened(route.address)
end

-- How long opening a connection may take.
function connection.open_ms(route)
  return open_ms(route.address)
end

return connection
