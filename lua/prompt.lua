-- prompt.lua - the prompt, and the notices that appear above it while nobody types.

local vios <const> = require("vios")
local connection <const> = require("vios.connection")

local prompt = {}

local POLL_TIMEOUT_MS <const> = 400
local SLOW_POLLS <const> = 15 -- polls left out after one that timed out

local SILENT_LOOKS <const> = 2 -- that time out until the daemon counts as not answering

local states = nil -- node name -> state, as seen last; nil: no daemon
local node = nil -- the daemon's own name
local skip = 0
local silent = 0 -- looks in a row that timed out

-- After a look that timed out: slow is not gone, so what was seen last stands.
local function slow()
  skip = SLOW_POLLS
  silent = silent + 1
  return silent < SILENT_LOOKS and states or nil
end

local function fetch()
  local client, failure = connection.get({}, POLL_TIMEOUT_MS)
  if not client then
    if failure.code == "timeout" then
      return slow()
    end
    return failure.code == "cancelled" and states or nil
  end
  local hello = client:hello()
  node = hello and hello.node or nil
  local list, err = client:call("node.list", {}, { timeout_ms = POLL_TIMEOUT_MS })
  if err and err.code == "timeout" then
    return slow()
  elseif err and err.code == "cancelled" then
    return states -- Ctrl-C, which says nothing about the daemon
  end
  silent = 0
  if err and err.code == "unreachable" then
    client:close()
    local alive = connection.get({}, POLL_TIMEOUT_MS) -- no cluster is no silence
    return alive and {} or nil
  end
  local seen = {}
  for _, each in ipairs(list or {}) do
    seen[each.name] = each.state
  end
  return seen
end

local function overall(seen)
  for _, state in pairs(seen) do
    if state ~= "up" and state ~= "drained" then
      return "DEGRADED"
    end
  end
  return next(seen) and "OK" or "no cluster"
end

-- `vios n1> `, `vios n1 DEGRADED> `, `vios (no daemon)> `
local function of_states()
  if not states then
    return "vios (no daemon)> "
  end
  local state = overall(states)
  return "vios " .. (node or "?") .. (state == "OK" and "" or " " .. state) .. "> "
end

function prompt.text()
  if skip == 0 then
    states = fetch()
  end
  return of_states()
end

-- What has changed since the last look, a line each; "" when nothing has.
local function changes(before, now)
  local lines = {}
  if before and not now then
    return "the daemon does not answer any more"
  elseif now and not before then
    return "the daemon of " .. (node or "?") .. " answers"
  end
  local names = {}
  for name in pairs(now or {}) do
    names[#names + 1] = name
  end
  for name in pairs(before or {}) do
    if not now[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if now[name] ~= before[name] then
      lines[#lines + 1] = "node " .. name .. " is " .. (now[name] or "removed")
    end
  end
  return table.concat(lines, "\n")
end

-- Called while nobody types: the text of a notice and the new prompt, or nothing.
function prompt.poll()
  if skip > 0 then
    skip = skip - 1
    return nil
  end
  local before = states
  states = fetch()
  local text = changes(before, states)
  if text == "" then
    return nil
  end
  return vios.term.escape(text):gsub("\\x0a", "\r\n"), of_states()
end

-- The first line of a shell.
function prompt.welcome()
  local client, err = connection.get({})
  if client then
    return nil
  end
  return "No daemon answers here (" .. err.message .. ").\n"
    .. 'Start a throw-away cluster with "lab up", or a real one: run "vios daemon", then '
    .. '"cluster create NAME".\nhelp lists the commands.'
end

return prompt
