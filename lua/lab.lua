-- lab.lua - the commands of noun "lab": a throw-away cluster of nodes on this machine, for trying
-- things out, for demonstrations and for tests. No root is needed.
--
-- A lab is a folder:
--   DIR/lab.json                      the marker: what is not marked is never removed
--   DIR/n1/{vios.conf,daemon.log,run/,state/}   a node; n2, n3, ... likewise
--   DIR/db/vios.db                    the VIOS DB, shared by the nodes
--   DIR/repository                    the repository, likewise
-- Its processes are found by looking at what runs (lab_processes.lua), so that `lab down` leaves
-- nothing even after kill -9 of any or all of them.

local lab_folder <const> = require("vios.lab_folder")
local processes <const> = require("vios.lab_processes")
local rpc <const> = require("vios.rpc")
local system <const> = require("vios.os")

local lab = {}

local MARKER <const> = "lab.json"
local FOLDER_MODE <const> = 448 -- 0700
local NODES_DEFAULT <const>, NODES_MAX <const> = 3, 16
local PAGE_MEMORY_DEFAULT <const> = "256M"
-- Foreign NBD clients connect to DIR/n16/run/nbd.sock, and a socket's path has 107 characters.
local DIR_MAX <const> = 84
local START_MS <const> = 20000 -- until a daemon answers
local UP_MS <const> = 30000    -- until every node sees all others up
local POLL_SECONDS <const> = 0.02
local LOG_TAIL_LINES <const> = 5

-- What the marker says, or nil when there is no lab.
local function marker(dir)
  local text = system.read_file(dir .. "/" .. MARKER)
  local value = text and vios.json.decode(text)
  return type(value) == "table" and math.type(value.nodes) == "integer" and value or nil
end

local function object(dir)
  return "lab \"" .. dir .. "\""
end

-- A folder whose name the configuration file and the sockets can bear.
local function check_directory(dir)
  if #dir > DIR_MAX then
    return nil, vios.error("usage",
      ("its name has %d characters, and the sockets below it leave %d"):format(#dir, DIR_MAX),
      { object = object(dir), hint = "give a shorter one with --dir" })
  end
  if dir:find("[^%w/._+@=:-]") then
    return nil, vios.error("usage", "its name may have letters, digits and / . _ + @ = : - only",
      { object = object(dir), hint = "give another one with --dir" })
  end
  return true
end

local function not_a_lab(dir)
  return nil, vios.error("exists", "the folder is no lab, and is left alone",
    { object = object(dir), hint = "give another folder with --dir" })
end

local function names(count)
  local list = {}
  for i = 1, count do
    list[i] = "n" .. i
  end
  return list
end

-- A folder, not a link to one, and of this user: /tmp is everybody's.
local function is_ours(dir)
  return system.kind(dir) == "folder" and system.owner(dir) == system.uid()
end

-- The last lines of a node's log, for the error that says why it did not come up.
local function log_tail(dir, node)
  local lines = {}
  for line in (system.read_file(dir .. "/" .. node .. "/daemon.log") or ""):gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  local from <const> = math.max(1, #lines - LOG_TAIL_LINES + 1)
  return #lines > 0 and table.concat(lines, " | ", from) or "its log is empty"
end

local function node_failed(dir, node, what)
  return nil, vios.error("unreachable", what .. ": " .. log_tail(dir, node),
    { object = "node \"" .. node .. "\"" })
end

local function write_configuration(dir, node, page_memory)
  local home <const> = dir .. "/" .. node
  local made, why = system.mkdir(home .. "/run", FOLDER_MODE)
  if made then
    made, why = system.mkdir(home .. "/state", FOLDER_MODE)
  end
  if not made then
    return nil, why
  end
  return system.write_file(home .. "/vios.conf", table.concat({
    "# Made by `vios lab up`.",
    "node = " .. node,
    "run_dir = " .. home .. "/run",
    "state_dir = " .. home .. "/state",
    "store = sqlite:" .. dir .. "/db/vios.db",
    "repository = " .. dir .. "/repository",
    "page_memory = " .. page_memory,
    "port = 0",
    "nbd_port = 0",
    "",
  }, "\n"))
end

local function start_daemon(dir, node)
  local home <const> = dir .. "/" .. node
  return system.spawn({
    system.program("daemon"), "--config", home .. "/vios.conf",
    stdout = home .. "/daemon.log",
    stderr = home .. "/daemon.log",
    detached = true,
  })
end

-- A connection as soon as the daemon answers.
local function connect(dir, node)
  local deadline <const> = system.now_ms() + START_MS
  while true do
    local connection = rpc.open("unix:" .. lab_folder.socket(dir, node))
    if connection then
      return connection
    end
    if not processes.of(processes.find(dir), "daemon", node) then
      return node_failed(dir, node, "its daemon ended")
    end
    if system.now_ms() > deadline then
      return node_failed(dir, node, ("its daemon does not answer in %d s"):format(START_MS // 1000))
    end
    system.sleep(POLL_SECONDS)
  end
end

-- It sees `count` nodes, all up, and a primary.
local function all_up(connection, count)
  local cluster <const> = connection:call("cluster.status", {})
  return cluster and cluster.state == "OK" and #cluster.nodes == count
end

local function await_all_up(dir, connections, count)
  local deadline <const> = system.now_ms() + UP_MS
  for node, connection in pairs(connections) do
    while not all_up(connection, count) do
      if system.now_ms() > deadline then
        return node_failed(dir, node, "it does not see all nodes up, and a primary")
      end
      system.sleep(POLL_SECONDS)
    end
  end
  return true
end

-- Founds the cluster on the first node, and joins the others to it; a node that is in already
-- (the lab was up before) is left as it is.
local function join(connections, list)
  for i, node in ipairs(list) do
    local connection <const> = connections[node]
    if connection:hello().cluster == "" then
      local done, why
      if i == 1 then
        done, why = connection:call("cluster.create", { name = "lab" })
      else
        done, why = connections[list[1]]:call("node.token", {})
        if done then
          done, why = connection:call("node.join", { token = done.token })
        end
      end
      if not done then
        return nil, why
      end
    end
  end
  return true
end

local function bring_up(dir, count, page_memory, context)
  local list <const> = names(count)
  local found <const> = processes.find(dir)
  local connections = {}
  for _, node in ipairs(list) do
    local done, why = true, nil
    if not system.read_file(dir .. "/" .. node .. "/vios.conf") then
      done, why = write_configuration(dir, node, page_memory)
    end
    if done and not processes.of(found, "daemon", node) then
      done, why = start_daemon(dir, node)
    end
    if not done then
      return nil, why
    end
  end
  for i, node in ipairs(list) do
    local connection, why = connect(dir, node)
    if not connection then
      return nil, why
    end
    connections[node] = connection
    context.progress(i, count, "nodes")
  end
  local joined, why = join(connections, list)
  if not joined then
    return nil, why
  end
  return await_all_up(dir, connections, count)
end

local function make_folders(dir, count)
  local done, why = system.mkdir(dir, FOLDER_MODE)
  if done then -- the marker first: a lab that was cut short here can still be taken down
    local text <const> = vios.json.encode({ v = 1, nodes = count }) .. "\n"
    done, why = system.write_file(dir .. "/" .. MARKER, text)
  end
  for _, folder in ipairs({ "/db", "/repository" }) do
    if done then
      done, why = system.mkdir(dir .. folder, FOLDER_MODE)
    end
  end
  return done, why
end

-- Ends what runs there and removes the folder.
local function take_down(dir)
  for _ = 1, 3 do -- a daemon may start an io while it is ended
    local found <const> = processes.find(dir)
    if #found == 0 then
      return system.remove_tree(dir)
    end
    -- A guest needs its disks to end, and a daemon would start again what it misses.
    for _, kind in ipairs({ "daemon", "qemu", "io" }) do
      local of_kind = {}
      for _, process in ipairs(found) do
        if process.kind == kind then
          of_kind[#of_kind + 1] = process
        end
      end
      processes.stop(of_kind)
    end
  end
  return nil, vios.error("timeout", "some of its processes do not end", { object = object(dir) })
end

-- What `lab up` must know before it does anything: the number of nodes, or nil and why not.
local function check_up(dir, wanted)
  local there <const> = marker(dir)
  if wanted and (wanted < 1 or wanted > NODES_MAX) then
    return nil, vios.error("usage", ("a lab has 1 to %d nodes"):format(NODES_MAX),
      { hint = "try: vios lab up 3" })
  end
  if there and wanted and wanted < there.nodes then
    return nil, vios.error("exists", ("it has %d nodes already"):format(there.nodes),
      { object = object(dir), hint = "run \"vios lab down\" first" })
  end
  if system.kind(dir) and not is_ours(dir) then
    return not_a_lab(dir)
  end
  if not there and system.kind(dir) and #(system.read_dir(dir) or { "unreadable" }) > 0 then
    return not_a_lab(dir)
  end
  return wanted or (there and there.nodes) or NODES_DEFAULT
end

-- parameters: nodes, dir, page_memory. Starts what does not run, so it also mends a lab.
function lab.up(parameters, context)
  local dir <const> = lab_folder.path(parameters.dir)
  local fine, why = check_directory(dir)
  if not fine then
    return nil, why
  end
  local count
  count, why = check_up(dir, parameters.nodes)
  if not count then
    return nil, why
  end
  local fresh <const> = marker(dir) == nil
  fine, why = make_folders(dir, count)
  system.finally(function()
    if fine then
      fine = nil
      fine, why = bring_up(dir, count, parameters.page_memory or PAGE_MEMORY_DEFAULT, context)
    end
  end, function()
    if not fine and fresh then
      take_down(dir)
    end
  end)
  if not fine then
    return nil, why
  end
  return lab.status({ dir = dir })
end

local function node_state(dir, node, daemon)
  if not daemon then
    return "down"
  end
  local connection <close> = rpc.open("unix:" .. lab_folder.socket(dir, node))
  return connection and "up" or "starting"
end

function lab.status(parameters)
  local dir <const> = lab_folder.path(parameters.dir)
  local there <const> = marker(dir)
  if not there then
    return nil, vios.error("not_found", "there is no lab in this folder",
      { object = object(dir), hint = "run \"vios lab up\"" })
  end
  local found <const> = processes.find(dir)
  local list = {}
  for i, node in ipairs(names(there.nodes)) do
    local daemon <const> = processes.of(found, "daemon", node)
    local io_process <const> = processes.of(found, "io", node)
    list[i] = {
      name = node,
      state = node_state(dir, node, daemon),
      daemon_pid = daemon and daemon.pid or 0,
      io_pid = io_process and io_process.pid or 0,
      socket = lab_folder.socket(dir, node),
      dir = dir .. "/" .. node,
      nbd_uri = "nbd+unix:///?socket=" .. dir .. "/" .. node .. "/run/nbd.sock",
    }
  end
  return list
end

function lab.down(parameters)
  local dir <const> = lab_folder.path(parameters.dir)
  if not system.kind(dir) then
    return nil, vios.error("not_found", "there is no lab in this folder", { object = object(dir) })
  end
  if not marker(dir) or not is_ours(dir) then
    return not_a_lab(dir)
  end
  local done, why = take_down(dir)
  return done and {} or nil, why
end

local DIR_OPTION <const> = {
  name = "dir", value = "DIR", words = "the lab's folder, if not the user's own", complete = "file",
  local_file = true,
}
local COLUMNS <const> = { "name", "state", "daemon_pid", "io_pid", "dir" }

lab.noun = "lab"
lab.summary = "a throw-away cluster of nodes on this machine, for trying things out"
lab.rows = {
  {
    verb = "up",
    summary = "start a lab, or what died of it",
    run = lab.up,
    arguments = {
      { name = "nodes", words = "how many nodes (3)", type = "integer", minimum = 1,
        maximum = NODES_MAX, optional = true },
    },
    options = {
      DIR_OPTION,
      {
        name = "page_memory", value = "SIZE", type = "size",
        words = "memory each node gives to the guests of others (" .. PAGE_MEMORY_DEFAULT .. ")",
      },
    },
    columns = COLUMNS,
    examples = { "lab up", "lab up 4 --page-memory 512M", "lab up 3 --dir /tmp/l1" },
  },
  {
    verb = "status",
    summary = "list the lab's nodes and their processes",
    run = lab.status,
    options = { DIR_OPTION },
    columns = COLUMNS,
    examples = { "lab status", "lab status --json" },
  },
  {
    verb = "down",
    summary = "end the lab's guests, daemons and data, leaving nothing",
    run = lab.down,
    options = { DIR_OPTION },
    text = function() return "" end,
    examples = { "lab down", "lab down --dir /tmp/l1" },
  },
}

return lab
