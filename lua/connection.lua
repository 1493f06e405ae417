-- connection.lua - which daemon a command talks to, and one connection to each, kept open.
--
-- The socket is --socket, else $VIOS_SOCKET, else /run/vios/vios.sock, else that of the first
-- node of the user's lab. --on NAME goes there too: that daemon calls the one of node NAME.

local vios <const> = require("vios")
local lab_folder <const> = require("vios.lab_folder")
local system <const> = vios.os

local connection = {}

local SYSTEM_SOCKET <const> = "/run/vios/vios.sock"
local open = {} -- address -> client

-- The options that the shell itself was given (socket, on, timeout); a call's own come first.
connection.defaults = {}

-- The path of the socket to connect to; nil and an error when there is none.
function connection.socket(options)
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

-- The nodes that --on names: a list, nil when it was not given; nil, err when it cannot be.
function connection.targets(options)
  local on = options.on or connection.defaults.on
  if not on then
    return nil
  end
  local nodes = {}
  if on == "@all" then
    local client, failure = connection.get(options)
    if not client then
      return nil, failure
    end
    local list, err = client:call("node.list", {})
    if not list then
      return nil, err
    end
    for i, node in ipairs(list) do
      nodes[i] = node.name
    end
    return nodes
  end
  for name in on:gmatch("[^,]+") do
    nodes[#nodes + 1] = name
  end
  if #nodes == 0 then
    return nil, vios.error("usage", '"' .. on .. '" names no node',
      { object = "--on", hint = "give names, as n1,n2, or @all" })
  end
  return nodes
end

-- The node that a call over `client` is meant for, when that is another than the client's.
function connection.other(client, options)
  local on = options.on or connection.defaults.on
  return on and on ~= client:hello().node and on or nil
end

-- An open connection for these options; nil, err. Opening may take `open_ms` (5000).
function connection.get(options, open_ms)
  local path, err = connection.socket(options)
  if not path then
    return nil, err
  end
  local client = open[path]
  if client and client:alive() then
    return client, path
  end
  open[path] = nil
  client, err = vios.rpc.open("unix:" .. path, open_ms)
  if not client then
    return nil, err
  end
  open[path] = client
  return client, path
end

-- Closes the connection at `path`, after a failure that leaves it in doubt.
function connection.drop(path)
  local client = open[path]
  open[path] = nil
  if client then
    client:close()
  end
end

return connection
