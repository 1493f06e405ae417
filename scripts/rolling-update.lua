-- rolling-update.lua - updates one node after the other, while the guests run on:
--
--     vios scripts/rolling-update.lua 'ssh root@$VIOS_NODE "apt-get -y upgrade && reboot"'
--
-- For each node, the primary last: its guests leave (evacuate.lua), the command is run by sh with
-- the node's name in VIOS_NODE, and when the node is back, up and in its place, it is restored. The
-- next one begins only when all of the cluster is up. The first failure ends it: the node in hand
-- stays drained, and is named. Guests that cannot leave are a failure before the command is run,
-- unless STAY=yes is in the environment.

local system <const> = vios.os
local here <const> = (arg and arg[0] or "scripts/rolling-update.lua"):match("^(.*)/[^/]*$") or "."
local evacuate <const> = assert(loadfile(here .. "/evacuate.lua"))("module")

local EMPTY_SECONDS <const> = 600 -- to leave a node
local BACK_SECONDS <const> = 900  -- for a node to be back
local LOOK_SECONDS <const> = 0.5

local function need(value, err)
  if value == nil then
    error(err, 0)
  end
  return value
end

local function say(...)
  print(string.format(...))
end

local function primary()
  return need(vios.primary.show()).node
end

-- All members, the primary last, so that its role moves once.
local function order()
  local names <const>, last <const> = {}, primary()
  for _, node in ipairs(need(vios.node.list())) do
    if node.name ~= last then
      names[#names + 1] = node.name
    end
  end
  names[#names + 1] = last
  return names
end

local function state_of(name)
  local nodes <const> = vios.node.list()
  for _, node in ipairs(nodes or {}) do -- nil: this node's own daemon is away
    if node.name == name then
      return node.state
    end
  end
end

local function await(name, state)
  local end_ms <const> = system.now_ms() + BACK_SECONDS * 1000
  while state_of(name) ~= state do
    if system.now_ms() > end_ms then
      error(("%s is not %s after %d s"):format(name, state, BACK_SECONDS), 0)
    end
    system.sleep(LOOK_SECONDS)
  end
end

local function all_up()
  for _, node in ipairs(need(vios.node.list())) do
    if node.state ~= "up" then
      error(("%s is %s: nothing is begun while a node is not up"):format(node.name, node.state), 0)
    end
  end
end

local function stays(name)
  for _, guest in ipairs(need(vios.lpar.list())) do
    if guest.node == name and os.getenv("STAY") ~= "yes" then
      return guest.name
    end
  end
end

local function update(name, command)
  all_up()
  say("%s: its guests leave", name)
  if not evacuate(name, EMPTY_SECONDS, say) then
    error(name .. " is not empty: it stays drained, see lpar list", 0)
  end
  local guest <const> = stays(name)
  if guest then
    error(("%s stays on %s, which stays drained: stop it, or set STAY=yes"):format(guest, name), 0)
  end
  say("%s: %s", name, command)
  system.setenv("VIOS_NODE", name)
  local ok <const>, how <const>, status <const> = os.execute(command)
  if not ok then
    error(("the command failed on %s (%s %d), which stays drained"):format(name, how, status), 0)
  end
  await(name, "drained")
  need(vios.node.restore(name))
  await(name, "up")
  say("%s: up", name)
end

local given <const> = vios.arguments({
  summary = "update one node after the other, while the guests run on",
  arguments = {
    { name = "command", words = "what sh runs for each node, whose name is in VIOS_NODE" },
  },
  examples = { [['ssh root@$VIOS_NODE "apt-get -y upgrade && reboot"']] },
})
local done <const>, err <const> = pcall(function()
  for _, name in ipairs(order()) do
    update(name, given.command)
  end
end)
if not done then
  io.stderr:write("rolling-update: ", tostring(err), "\n")
end
os.exit(done and 0 or 1)
