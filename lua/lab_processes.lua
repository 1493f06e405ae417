-- lab_processes.lua - the processes of a lab, found by looking at what runs, and ended.
--
-- No pid file is trusted: a daemon may have been killed and started again by anybody, and a pid
-- may be another process's by now. A process belongs to the lab when it is one of our programs or
-- a QEMU (by /proc/PID/exe), runs as this user (or we are root), and has a path below the lab's
-- folder as a word of its command line, or its working directory there. Before a signal its
-- start time is compared again.

local system <const> = require("vios.os")

local processes = {}

local GRACE_MS <const> = 3000 -- from SIGTERM to SIGKILL
local GONE_MS <const> = 10000 -- from SIGKILL to giving up
local POLL_SECONDS <const> = 0.02

-- "daemon", "io", "qemu" or nil.
local function program_kind(pid)
  local path = (system.executable(pid) or ""):gsub(" %(deleted%)$", "")
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
  for _, word in ipairs(system.command_line(pid) or {}) do
    local node = node_of(word, prefix)
    if node then
      return node
    end
  end
  return node_of((system.real_path("/proc/" .. pid .. "/cwd") or "") .. "/", prefix)
end

-- Everything that belongs to the lab in `dir` (absolute, no trailing slash): a list of
-- { pid, start, kind = "daemon"|"io"|"qemu", node = "n1" }.
function processes.find(dir)
  local found = {}
  for _, pid in ipairs(system.pids() or {}) do
    local kind = program_kind(pid)
    local node = kind and owner(pid, dir)
    local start = node and system.start_time(pid)
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
  return system.start_time(process.pid) == process.start
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
      system.sleep(POLL_SECONDS)
    end
  end
  return true
end

-- Ends them: SIGTERM, and SIGKILL for those that do not go. True when all are gone.
function processes.stop(found)
  signal_all(found, "TERM")
  if await_end(found, GRACE_MS) then
    return true
  end
  signal_all(found, "KILL")
  return await_end(found, GONE_MS)
end

return processes
