-- lab_processes.lua - the processes of a lab, found by looking at what runs, and ended.
--
-- No pid file is trusted: a daemon may have been killed and started again by anybody, and a pid
-- may be another process's by now. A process belongs to the lab when it is one of our programs or
-- a QEMU (by /proc/PID/exe), runs as this user (or we are root), and has a path below the lab's
-- folder as a word of its command line, or its working directory there. Before a signal its
-- start time is compared again.
--
-- What lab needs of vios.os: absolute(path) entries(path) exists(path) kill(pid, signal)
-- mkdir(path, mode) (with those above it) now_ms() owner(path) (its uid) program(name) (the path of
-- libexec/vios/NAME) readlink(path) remove_tree(path) sleep_ms(ms) uid(), and
-- spawn{argv, log, detached} -> pid (own session, stdin from /dev/null, output appended to log).
-- All return nil, err on failure. Of vios.rpc: open(socket, timeout_ms) -> connection or nil, err;
-- connection:call(method, parameters) -> result or nil, err; connection:hello() -> table.

local system <const> = require("vios.os")

local processes = {}

local TERM <const>, KILL <const> = 15, 9
local GRACE_MS <const> = 3000 -- from SIGTERM to SIGKILL
local GONE_MS <const> = 10000 -- from SIGKILL to giving up
local POLL_MS <const> = 20
local COMMAND_LINE_MAX <const> = 65536

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read(COMMAND_LINE_MAX)
end

-- Field 22 of /proc/PID/stat, counted behind the name, which may contain anything; field 3 is the
-- state. A zombie has ended.
local function start_time(pid)
  local rest = (read("/proc/" .. pid .. "/stat") or ""):match(".*%) (.*)$")
  if not rest or rest:match("^[ZX]") then
    return nil
  end
  local fields = {}
  for field in rest:gmatch("%S+") do
    fields[#fields + 1] = field
  end
  return fields[20]
end

-- "daemon", "io", "qemu" or nil.
local function program_kind(pid)
  local path = (system.readlink("/proc/" .. pid .. "/exe") or ""):gsub(" %(deleted%)$", "")
  local name = path:match("[^/]*$")
  if name == "daemon" or name == "io" then
    return path:find("/vios/" .. name, 1, true) and name
  end
  return name:find("^qemu%-system%-") and "qemu"
end

-- The name of the node whose folder `text` points into, or nil.
local function node_of(text, prefix)
  local from, to = text:find(prefix, 1, true)
  return from and text:sub(to + 1):match("^(n%d+)/")
end

local function owner(pid, dir)
  local prefix <const> = dir .. "/"
  for word in (read("/proc/" .. pid .. "/cmdline") or ""):gmatch("%Z+") do
    local node = node_of(word, prefix)
    if node then
      return node
    end
  end
  return node_of((system.readlink("/proc/" .. pid .. "/cwd") or "") .. "/", prefix)
end

-- Everything that belongs to the lab in `dir` (absolute, no trailing slash): a list of
-- { pid, start, kind = "daemon"|"io"|"qemu", node = "n1" }.
function processes.find(dir)
  local found = {}
  for _, entry in ipairs(system.entries("/proc") or {}) do
    local pid = entry:match("^%d+$") and math.tointeger(entry)
    local kind = pid and program_kind(pid)
    local node = kind and owner(pid, dir)
    local start = node and start_time(pid)
    if start then
      found[#found + 1] = { pid = pid, start = start, kind = kind, node = node }
    end
  end
  return found
end

-- The one of `found` of this kind and node, or nil.
function processes.of(found, kind, node)
  for _, process in ipairs(found) do
    if process.kind == kind and process.node == node then
      return process
    end
  end
end

function processes.alive(process)
  return start_time(process.pid) == process.start
end

local function signal_all(found, signal)
  for _, process in ipairs(found) do
    if processes.alive(process) then
      system.kill(process.pid, signal)
    end
  end
end

local function await_end(found, timeout_ms)
  local deadline <const> = system.now_ms() + timeout_ms
  for _, process in ipairs(found) do
    while processes.alive(process) do
      if system.now_ms() > deadline then
        return false
      end
      system.sleep_ms(POLL_MS)
    end
  end
  return true
end

-- Ends them: SIGTERM, and SIGKILL for those that do not go. True when all are gone.
function processes.stop(found)
  signal_all(found, TERM)
  if await_end(found, GRACE_MS) then
    return true
  end
  signal_all(found, KILL)
  return await_end(found, GONE_MS)
end

return processes
