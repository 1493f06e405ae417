-- connection.lua - which daemon a command talks to, and one connection to each, kept open.
--
-- The socket is --socket, else $VIOS_SOCKET, else /run/vios/vios.sock, else that of the first
-- node of the user's lab. --on NAME goes there too: that daemon calls the one of node NAME.

local vios <const> = require("vios")
local system <const> = vios.os

local connection = {}

local SYSTEM_SOCKET <const> = "/run/vios/vios.sock"
local open = {} -- address -> client

-- What the shell itself was told: { socket =, on =, timeout = }; below what a command says.
connection.defaults = {}

function connection.lab_folder()
  local dir = os.getenv("VIOS_LAB_DIR")
  if dir and dir ~= "" then
    return dir
  end
  local base = os.getenv("XDG_RUNTIME_DIR")
  return (base and base ~= "" and base or "/tmp") .. "/vios-lab-" .. system.uid()
end

local function lab_socket(folder, node)
  return folder .. "/" .. node .. "/run/vios.sock"
end

local function by_number(a, b)
  local x, y = tonumber(a:match("%d+$")), tonumber(b:match("%d+$"))
  if x and y and x ~= y then
    return x < y
  end
  return a < b
end

-- The names of the lab's nodes, n2 before n10; nil when there is no lab.
function connection.lab_nodes(folder)
  local nodes = {}
  for _, name in ipairs(system.read_dir(folder) or {}) do
    if system.kind(folder .. "/" .. name .. "/run") == "folder" then
      nodes[#nodes + 1] = name
    end
  end
  table.sort(nodes, by_number)
  return #nodes > 0 and nodes or nil
end

-- The socket's path when nobody names a node; nil and an error when there is none.
local function default_socket(options)
  local given = options.socket or connection.defaults.socket or os.getenv("VIOS_SOCKET")
  if given and given ~= "" then
    return (given:gsub("^unix:", ""))
  end
  if system.kind(SYSTEM_SOCKET) then
    return SYSTEM_SOCKET
  end
  local folder = connection.lab_folder()
  local nodes = connection.lab_nodes(folder)
  if nodes then
    for _, node in ipairs(nodes) do
      if system.connectable(lab_socket(folder, node)) then
        return lab_socket(folder, node)
      end
    end
    return lab_socket(folder, nodes[1])
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
  return nodes
end

-- Where to connect: the path of a socket, or nil, err.
function connection.socket(options)
  return default_socket(options)
end

-- The node that a call over `client` is meant for, when that is another than the client's.
function connection.other(client, options)
  local on = options.on or connection.defaults.on
  return on and on ~= "" and on ~= client:hello().node and on or nil
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
