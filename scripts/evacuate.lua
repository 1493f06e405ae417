-- evacuate.lua - empties a node: `vios scripts/evacuate.lua NODE [SECONDS]`.
--
-- Drains the node, and waits until every guest that can leave it runs elsewhere; says of each where
-- it went, and of those that stay why. Exits 0 when nothing is left that could have left, 1 when
-- SECONDS (600) are over. The node stays drained: `node restore NODE` is the way back.
--
-- Other scripts get the function: loadfile("evacuate.lua")("module").

local LIMIT_SECONDS <const> = 600
local LOOK_SECONDS <const> = 0.5

local system <const> = vios.os

local function need(value, err)
  if value == nil then
    error(err, 0)
  end
  return value
end

local function guests_of(node)
  local guests <const> = {}
  for _, guest in ipairs(need(vios.lpar.list())) do
    if guest.node == node then
      guests[guest.name] = guest
    end
  end
  return guests
end

local function tell_left(say, before, now)
  for name in pairs(before) do
    if not now[name] then
      local guest <const> = need(vios.lpar.show(name))
      if guest.state == "running" then
        say("%s runs on %s", name, guest.node)
        before[name] = nil
      end
    end
  end
end

local function can_leave(guests)
  for _, guest in pairs(guests) do
    if guest.movable then
      return true
    end
  end
  return false
end

-- True, or false when the time is over; `say(format, ...)` is told what happens.
local function evacuate(node, seconds, say)
  local end_ms <const> = system.now_ms() + seconds * 1000
  local before = guests_of(node)
  need(vios.node.drain(node))
  local now
  repeat
    now = guests_of(node)
    tell_left(say, before, now)
    local waits = can_leave(now)
    for name in pairs(before) do
      waits = waits or not now[name] -- on its way
    end
    if not waits then
      break
    end
    system.sleep(LOOK_SECONDS)
  until system.now_ms() > end_ms
  for name, guest in pairs(now) do
    local shown <const> = need(vios.lpar.show(name))
    say("%s stays: %s", name, not guest.movable and "it needs files of that node"
      or shown.move ~= "" and shown.move or "there is no place for it")
  end
  return not can_leave(now)
end

if ... == "module" then
  return evacuate
end

local given <const> = vios.arguments({
  summary = "empty a node, and say where its guests went",
  arguments = {
    { name = "node", words = "the node's name" },
    { name = "seconds", type = "duration", optional = true, default = LIMIT_SECONDS,
      words = ("how long it may take (%d)"):format(LIMIT_SECONDS) },
  },
  examples = { "n2", "n2 60" },
})
local done <const>, result <const> = pcall(evacuate, given.node, given.seconds, function(...)
  print(string.format(...))
end)
if not done then
  io.stderr:write("evacuate: ", tostring(result), "\n")
end
os.exit(done and result and 0 or 1)
