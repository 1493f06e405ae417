-- lab_folder.lua - where the user's lab is, and the sockets of its nodes; the lab makes it
-- (lab.lua), and a command that is told no socket looks there (connection.lua).

local system <const> = require("vios.os")

local lab_folder = {}

local function from_environment(name)
  local value <const> = os.getenv(name)
  return value ~= "" and value or nil
end

-- The whole path of `dir`, or of the user's own: $VIOS_LAB_DIR, else in $XDG_RUNTIME_DIR or /tmp.
-- The kernel shows the paths of processes without links: so must the folder's name be.
function lab_folder.path(dir)
  dir = dir or from_environment("VIOS_LAB_DIR")
    or (from_environment("XDG_RUNTIME_DIR") or "/tmp") .. "/vios-lab-" .. system.uid()
  if dir:sub(1, 1) ~= "/" then
    dir = system.real_path(".") .. "/" .. dir
  end
  local above <const>, name <const> = dir:gsub("/+$", ""):match("^(.*)/([^/]+)$")
  if not name then
    return "/"
  end
  return (system.real_path(above ~= "" and above or "/") or above):gsub("/$", "") .. "/" .. name
end

function lab_folder.socket(dir, node)
  return dir .. "/" .. node .. "/run/vios.sock"
end

local function by_number(a, b)
  local x, y = tonumber(a:match("%d+$")), tonumber(b:match("%d+$"))
  if x and y and x ~= y then
    return x < y
  end
  return a < b
end

-- The names of the lab's nodes, n2 before n10; empty when there is no lab.
function lab_folder.nodes(dir)
  local nodes = {}
  for _, name in ipairs(system.read_dir(dir) or {}) do
    if system.kind(dir .. "/" .. name .. "/run") == "folder" then
      nodes[#nodes + 1] = name
    end
  end
  table.sort(nodes, by_number)
  return nodes
end

return lab_folder
