-- tour.lua - what vios is about, in a minute: `make demo`, or `vios scripts/tour.lua`.
--
-- Four nodes on this machine. A disk is imported as an image into a pool that all of them share,
-- and a Linux guest is deployed from it on n1. It has 128 MiB of memory and runs a program that
-- uses twice as much and verifies every page; the rest lies in the memory of two other nodes. In
-- the middle the io process of one of them is killed with -9, and then another node as a whole. At
-- last the guest is hibernated, with its remote pages, and goes on on another node. It must notice
-- nothing of all that. Exits 0 only if no page was wrong and nothing failed; whatever happens, and
-- on Ctrl-C, everything is taken down again.

local system <const> = vios.os

local NODES <const> = 4
local GUEST_MIB <const>, HOG_MIB <const> = 128, 256
local ACCIDENT_PASS <const> = 2 -- from here on the guest reads what it wrote
local PAGING_SIZE <const>, PAGE_MEMORY <const> = "320M", "384M"
local LIMIT_SECONDS <const> = 600    -- so that nothing hangs for ever; a minute is usual
local LOOK_SECONDS <const> = 0.4     -- between two looks at the guest
local STORY_LINES <const> = 8
local PLAIN_LINE_SECONDS <const> = 2 -- between two lines when this is no terminal

local dir <const> = "/tmp/vios-tour-" .. system.pid()
local here <const> = (arg and arg[0] or "scripts/tour.lua"):match("^(.*)/[^/]*$") or "."
local images <const> = here .. "/../build/guest"
local started_ms <const> = system.now_ms()
local on_terminal <const> = vios.term.is_tty(1)
local last_line_ms = 0

local function seconds()
  return (system.now_ms() - started_ms) / 1000
end

local function say(...)
  local line <const> = ("[%5.1f s] "):format(seconds()) .. string.format(...)
  io.stdout:write(on_terminal and "\r\027[K" or "", line, "\n")
  io.stdout:flush()
end

-- The numbers that move: one line that is written over, or a line now and then.
local function show_live(...)
  if on_terminal then
    io.stdout:write("\r\027[K", ("[%5.1f s] "):format(seconds()), string.format(...))
    io.stdout:flush()
  elseif system.now_ms() - last_line_ms >= PLAIN_LINE_SECONDS * 1000 then
    last_line_ms = system.now_ms()
    say(...)
  end
end

local function need(value, why)
  if value == nil then
    error(why, 0)
  end
  return value
end

-- What the guest has printed so far; the daemon keeps the last of it.
local function console_text()
  local client <close> = need(vios.rpc.open("unix:" .. os.getenv("VIOS_SOCKET")))
  local parts = {}
  need(client:call("lpar.console", { name = "guest", dump = true }, {
    bytes = function(text)
      parts[#parts + 1] = text
    end,
  }))
  return table.concat(parts)
end

-- The last thing the hog said: { what, pass, pages, bad }, or nil before it says anything.
local function hog_state()
  local state
  for what, pass, pages, bad in
    console_text():gmatch("hog (%a+) pass=(%d+) pages=(%d+) bad=(%d+)") do
    state = {
      what = what, pass = math.tointeger(pass), pages = math.tointeger(pages),
      bad = math.tointeger(bad),
    }
  end
  return state
end

-- The device as it is; what went over to each node is kept, since a node that was replaced is
-- shown no more.
local traffic <const> = {} -- node -> { out, into, state }

local function device()
  local shown <const> = need(vios.paging.show("guest"))
  for _, numbers in pairs(traffic) do
    numbers.state = "replaced"
  end
  for _, replica in ipairs(shown.replicas) do
    traffic[replica.node] = {
      out = replica.pages_out or 0, into = replica.pages_in or 0, state = replica.state,
    }
  end
  return shown
end

local function current_replicas(shown)
  local names = {}
  for _, replica in ipairs(shown.replicas) do
    if replica.state == "current" then
      names[#names + 1] = replica.node
    end
  end
  return names
end

local function node_processes(name)
  for _, node in ipairs(need(vios.lab.status({ dir = dir }))) do
    if node.name == name then
      return node
    end
  end
end

local function kill(pid)
  if pid > 0 then
    need(system.kill(pid, "KILL"))
  end
end

-- The two things that go wrong on purpose, one after the other. `node`: the one that it befell, as
-- it was; `ended_ms` is set once the device is OK again.
local accidents <const> = {
  {
    what = "io of %s",
    short = "io",
    strike = function(node)
      kill(node.io_pid)
    end,
    -- The daemon may have started another, which found all pages, between two looks.
    is_felt = function(node)
      local now <const> = node_processes(node.name).io_pid
      return now > 0 and now ~= node.io_pid
    end,
  },
  {
    what = "all of %s, daemon and io",
    short = "the whole node",
    strike = function(node)
      kill(node.daemon_pid)
      kill(node.io_pid)
    end,
    is_felt = function()
      return false -- the device shows it
    end,
  },
}

-- Lets the next accident happen when the guest reads its pages again and the device is whole.
local function provoke(hog, shown)
  for i, accident in ipairs(accidents) do
    if not accident.started_ms then
      local replicas <const> = current_replicas(shown)
      if shown.state == "OK" and hog.pass >= ACCIDENT_PASS and #replicas >= 2 then
        accident.node = node_processes(replicas[i])
        accident.strike(accident.node)
        accident.started_ms = system.now_ms()
        say("killed with -9: " .. accident.what, accident.node.name)
      end
      return
    end
    if not accident.ended_ms then
      if not accident.felt then -- the next look says whether all is well again
        accident.felt = shown.state ~= "OK" or accident.is_felt(accident.node)
      elseif shown.state == "OK" then
        accident.ended_ms = system.now_ms()
        say("the paging device is OK again, on %s", table.concat(current_replicas(shown), " and "))
      end
      return
    end
  end
end

local function all_over()
  return accidents[#accidents].ended_ms ~= nil
end

local function bring_up()
  say("four nodes, each with %s of page memory", PAGE_MEMORY)
  local nodes <const> = need(vios.lab.up({ dir = dir, nodes = NODES, page_memory = PAGE_MEMORY }))
  system.setenv("VIOS_SOCKET", nodes[1].socket) -- from here on, commands go to n1
  say("a pool that all nodes share, and an image in it")
  local bar <const> = vios.progress.new({})
  need(vios.pool.create("p1"))
  local image <const> = need(vios.image.import({
    source = need(system.real_path(images .. "/tour.qcow2")), name = "tour",
    progress = bar and bar.show,
  }))
  say("imported: %d MiB, digest %s...", image.size_bytes >> 20, image.digest:sub(1, 16))
  say("a guest with %d MiB of memory, and %s more on other nodes", GUEST_MIB, PAGING_SIZE)
  need(vios.image.deploy({
    image = "tour", name = "guest", memory = GUEST_MIB .. "M", stopped = true,
    progress = bar and bar.show,
  }))
  need(vios.paging.create({ lpar = "guest", size = PAGING_SIZE }))
  if bar then
    bar.clear()
  end
  need(vios.lpar.start("guest"))
  say("started; its pages go to %s", table.concat(current_replicas(device()), " and "))
end

-- Watches the guest until `is_enough(hog, shown)`.
local function watch_guest(is_enough)
  while true do
    local hog <const> = hog_state()
    local shown <const> = device()
    if hog then
      show_live("pass %d, %d pages verified or written, %d wrong; paged out %d, in %d; %s",
        hog.pass, hog.pages, hog.bad, shown.pages_out or 0, shown.pages_in or 0, shown.state)
      if hog.bad > 0 or hog.what == "FAILED" then
        error("the guest found a wrong page", 0)
      elseif hog.what == "done" then
        error("the program in the guest has ended", 0)
      end
      if is_enough(hog, shown) then
        return hog, shown
      end
    end
    local guest <const> = need(vios.lpar.show("guest"))
    if guest.state ~= "running" and guest.state ~= "starting" then
      error("the guest does not run any more: " .. guest.state, 0)
    end
    if seconds() > LIMIT_SECONDS then
      error(("not done after %d s"):format(LIMIT_SECONDS), 0)
    end
    system.sleep(LOOK_SECONDS)
  end
end

local function suffer(hog, shown)
  provoke(hog, shown)
  return all_over()
end

-- The guest goes on on another node; what is to be said of that.
local function move(hog)
  local target
  for _, node in ipairs(need(vios.node.list())) do
    if node.state == "up" and node.name ~= "n1" then
      target = node.name
    end
  end
  local bar <const> = vios.progress.new({})
  local began_ms <const> = system.now_ms()
  need(vios.lpar.hibernate({ name = "guest", progress = bar and bar.show }))
  local saved_ms <const> = system.now_ms()
  local file <const> = need(vios.hibernation.show("guest"))
  need(vios.lpar.restart({ name = "guest", node = target, progress = bar and bar.show }))
  if bar then
    bar.clear()
  end
  say("hibernated on n1, it goes on on %s, and verifies all of its pages", target)
  return {
    target = target, size_mib = file.size_bytes >> 20, save_s = (saved_ms - began_ms) / 1000,
    restart_s = (system.now_ms() - saved_ms) / 1000, enough = hog.pages + HOG_MIB * 256,
  }
end

local function percentiles(us)
  return us and ("p50 %d us, p99 %d us"):format(us.p50 or 0, us.p99 or 0) or "no samples"
end

-- What happened to each node, in the order of the nodes.
local function print_nodes(shown)
  print(("%-6s %10s %10s  %s"):format("node", "pages out", "pages in", ""))
  print(("%-6s %10d %10d  hosts the guest"):format("n1", shown.pages_out, shown.pages_in))
  for i = 2, NODES do
    local name <const> = "n" .. i
    local numbers <const> = traffic[name] or { out = 0, into = 0 }
    local said = { numbers.state and "replica, " .. numbers.state or "no replica" }
    for _, accident in ipairs(accidents) do
      if accident.node.name == name then
        said[#said + 1] = ("%s killed, OK again after %.1f s"):format(accident.short,
          (accident.ended_ms - accident.started_ms) / 1000)
      end
    end
    print(("%-6s %10d %10d  %s"):format(name, numbers.out, numbers.into, table.concat(said, "; ")))
  end
end

local function print_closing(hog, shown, moved)
  say("no page was wrong")
  print()
  print_nodes(shown)
  print()
  print(("guest      %d MiB of memory, %d MiB used"):format(GUEST_MIB, HOG_MIB))
  print(("pages      %d touched, %d wrong"):format(hog.pages, hog.bad))
  print(("page-outs  %d, %s"):format(shown.pages_out, percentiles(shown.out_us)))
  print(("page-ins   %d, %s"):format(shown.pages_in, percentiles(shown.in_us)))
  print(("errors     %d"):format(shown.errors or 0))
  print(("moved      n1 to %s: saved in %.1f s, %d MiB, running again after %.1f s"):format(
    moved.target, moved.save_s, moved.size_mib, moved.restart_s))
  print(("time       %.1f s"):format(seconds()))
  if (shown.errors or 0) > 0 then
    error("the guest's device had errors", 0)
  end
end

-- The incident that the death of the io made; it is captured meanwhile, without being asked.
local function crash_incident()
  while true do
    for _, incident in ipairs(need(vios.ffdc.list())) do
      if incident.trigger == "io crash" then
        return incident
      end
    end
    if seconds() > LIMIT_SECONDS then
      error("the crash of io was not captured", 0)
    end
    system.sleep(LOOK_SECONDS)
  end
end

-- What the cluster itself tells of it: its events, and the flight recorders of all nodes.
local function print_story()
  local incident <const> = crash_incident()
  local rows <const> = need(vios.ffdc.timeline({ correlator = incident.correlator }))
  local events <const> = need(vios.event.list())
  print()
  print("vios event list | tail")
  for i = math.max(1, #events - STORY_LINES + 1), #events do
    local event <const> = events[i]
    print(("  %s  %-8s %-10s %s"):format(event.time:sub(12, 23), event.class, event.object,
      event.operation))
  end
  print()
  print(("vios ffdc timeline %s | tail      # %s, captured on %d nodes"):format(
    incident.correlator, incident.trigger, #incident.nodes))
  for i = math.max(1, #rows - STORY_LINES + 1), #rows do
    local row <const> = rows[i]
    print(("  %s  %-4s %-9s %s"):format(row.time:sub(12, 23), row.node, row.part, row.text))
  end
end

system.finally(function()
  bring_up()
  local hog <const>, shown <const> = watch_guest(suffer)
  local moved <const> = move(hog)
  local last <const> = watch_guest(function(now)
    return now.pages >= moved.enough
  end)
  print_closing(last, shown, moved)
  print_story()
end, function()
  vios.lab.down({ dir = dir })
end)
