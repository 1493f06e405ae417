-- node_add.lua - `node add` and `node remove --host`: a node on another machine, made and removed
-- by ssh. What is done over there is in node_far.lua.
--
-- Each step that was done has an entry in `undo`; when a later one fails, or Ctrl-C comes, they are
-- undone, last first. So a host either has a node of the cluster, or what it had before.

local far <const> = require("vios.node_far")
local parallel <const> = require("vios.parallel")
local system <const> = require("vios.os")

local node_add = {}

local NAME_MAX <const> = 63
local DIR_MAX <const> = 84 -- as for a lab: the paths of its sockets have 107 characters at most
local JOIN_MS <const> = 60000
local UP_MS <const> = 60000
local POLL_SECONDS <const> = 0.1

local function object_of(name)
  return 'node "' .. name .. '"'
end

-- --- what was typed ---

local function usage(object, message, hint)
  return nil, vios.error("usage", message, { object = object, hint = hint })
end

local function check_dir(dir)
  if not dir then
    return true
  elseif not dir:match("^/[%w/._+@=:-]*[%w._+@=:-]$") or (dir .. "/"):find("/%.%.?/") then
    return usage("--dir", "it must be a whole path of letters, digits and / . _ + @ = : -",
      "as /srv/vios/n4")
  elseif #dir > DIR_MAX then
    return usage("--dir", ("its name has %d characters, and the sockets below it leave %d")
      :format(#dir, DIR_MAX), "give a shorter one")
  end
  return true
end

-- A host as it is reached, without what ssh alone needs of it.
local function bare(host)
  return (host:gsub("^ssh:", ""):gsub("^.*@", ""))
end

local function name_of(parameters)
  local name <const> = parameters.name or bare(parameters.host):match("^(%a[%w_-]*)%f[.\0]")
  if not name then
    return usage("--name", '"' .. parameters.host .. '" is no name for a node', "give it one")
  elseif #name > NAME_MAX or not name:match("^[%w][%w._-]*$") then
    return usage("--name", "a name has letters, digits and . _ - only, and "
      .. NAME_MAX .. " of them at most", "as n4")
  end
  return name
end

local function check(parameters)
  if parallel.is_inside() then
    return usage("node", "a host cannot be set up beside other calls", "do it outside of them")
  elseif not bare(parameters.host):match("^[%w]") then
    return usage("HOST", '"' .. parameters.host .. '" is no host', "give [USER@]HOST, as for ssh")
  elseif parameters.address and not parameters.address:match("^[%w.:_-]+$") then
    return usage("--address", '"' .. parameters.address .. '" is no address')
  end
  return check_dir(parameters.dir)
end

-- --- what is there ---

local function refuse(code, place, message, hint)
  return nil, vios.error(code, message, { object = place.host:sub(5), hint = hint })
end

-- The level that its software speaks is the cluster's or a later one, as `node.admit` wants it.
local function check_software(place, seen, level)
  if not seen.program then
    return refuse("invalid", place, "vios is not installed there",
      "install its package, or say with VIOS_REMOTE where it is")
  end
  local version <const> = vios.json.decode(seen.version or "")
  local has = type(version) == "table" and version.level or nil
  if math.type(has) ~= "integer" then
    return refuse("invalid", place, "the vios there does not say which level it speaks",
      "install the version that the other nodes have")
  elseif has < level then
    return refuse("invalid", place,
      ("its software is of level %d, the cluster's is %d"):format(has, level),
      "install the version that the other nodes have")
  end
  return true
end

local function check_unused(place, seen)
  if seen.node then
    return refuse("exists", place, 'node "' .. seen.node .. '" is there already, in '
      .. place.state, ('"vios node remove %s --host %s%s" removes it'):format(seen.node,
      place.host:sub(5), place.dir and " --dir " .. place.dir or ""))
  elseif seen.config then
    return refuse("exists", place, place.config .. " configures a node already",
      "join that one with \"vios node join\", or remove the file")
  end
  for _, kind in ipairs({ "state", "run" }) do
    if seen[kind] ~= "absent" and seen[kind] ~= "empty" then
      return refuse("exists", place, place[kind] .. " is not empty: there is, or was, a node",
        place.dir and "give another folder with --dir" or "stop it, and empty that folder")
    end
  end
  if place.dir and seen.folder ~= "absent" and seen.folder ~= "empty" then
    return refuse("exists", place, place.dir .. " is not empty", "give another folder with --dir")
  end
  return true
end

local function check_host(place, seen, repository)
  if not place.dir and seen.user ~= "0" then
    return refuse("denied", place, "only root may set up the node of a machine",
      "give root@HOST, or a folder with --dir")
  elseif seen.repository then
    return refuse("invalid", place, "it does not have the repository " .. repository,
      "mount it there first")
  end
  return true
end

-- What the cluster says of itself, with `call`: { level, repository }; nil, err.
local function cluster_of(call, name)
  local clusters <const>, err = call("cluster.list", {})
  local nodes, repository
  if clusters then
    nodes, err = call("node.list", {})
  end
  if nodes then
    repository, err = call("config.get", { key = "repository" })
  end
  if not repository then
    return nil, err
  end
  for _, node in ipairs(nodes) do
    if node.name == name then
      return nil, vios.error("exists", "the cluster has a node of this name",
        { object = object_of(name),
          hint = 'take another one with --name, or run "vios node remove ' .. name .. '" first' })
    end
  end
  return { level = clusters[1] and clusters[1].level or 0, repository = repository.value or "" }
end

-- All that must be known before anything is done: a plan; nil, err.
local function plan(parameters, context)
  local name, err = name_of(parameters)
  local cluster, seen
  if name then
    cluster, err = cluster_of(context.call, name)
  end
  if not cluster then
    return nil, err
  end
  local place <const> = far.place(parameters.host, parameters.dir)
  seen, err = far.look(place, cluster.repository, context.options)
  for _, look in ipairs({ function() return check_software(place, seen, cluster.level) end,
    function() return check_unused(place, seen) end,
    function() return check_host(place, seen, cluster.repository) end }) do
    local good = seen
    if good then
      good, err = look()
    end
    if not good then
      return nil, err
    end
  end
  local address <const> = parameters.address or seen.address:match("^%x*[.:][%x.:]+$")
  if not address then
    return usage("--address", "it is not known at which address the other nodes reach "
      .. parameters.host, "give it")
  end
  return { name = name, place = place, cluster = cluster, address = address,
    port = parameters.port, witness = parameters.witness,
    service = not parameters.dir and seen.systemd ~= nil }
end

local function configuration(wanted)
  local lines <const> = {
    "# Made by `vios node add`.",
    "node = " .. wanted.name,
    "address = " .. wanted.address,
  }
  local function set(key, value)
    lines[#lines + 1] = value and value ~= "" and key .. " = " .. value or nil
  end
  set("repository", wanted.cluster.repository)
  set("port", wanted.port)
  set("nbd_port", wanted.port == 0 and 0)
  if wanted.place.dir then
    set("run_dir", wanted.place.run)
    set("state_dir", wanted.place.state)
  end
  return table.concat(lines, "\n")
end

-- --- the steps: each true, or nil, err; `undo` gets what undoes it, before it is done ---

local function make_token(wanted, context, undo)
  local made <const>, err = context.call("node.token", { valid = "10m" })
  if not made then
    return nil, err
  end
  wanted.token = made
  undo[#undo + 1] = function()
    local done <const>, why = context.call("node.token", { revoke = made.id })
    return done or why.code == "not_found", why -- it was used
  end
  return true
end

local function write(wanted, context, undo)
  undo[#undo + 1] = function()
    return far.remove(wanted.place, "id " .. wanted.token.id, context.options)
  end
  return far.write(wanted.place, wanted.token.id, wanted.name, configuration(wanted),
    wanted.service, context.options)
end

local function start(wanted, context)
  return far.start(wanted.place, wanted.service, context.options)
end

-- Whether the name is another's, after this error: then it is not ours to take out.
local OTHERS <const> = { exists = true, conflict = true, denied = true }

local function join(wanted, context, undo)
  local failure
  undo[#undo + 1] = function()
    local nodes <const>, err = context.call("node.list", {})
    for _, node in ipairs(not (failure and OTHERS[failure.code]) and nodes or {}) do
      if node.name == wanted.name then
        return context.call("node.remove", { node = wanted.name })
      end
    end
    return nodes, err
  end
  local joined
  joined, failure = far.call(wanted.place, "node.join",
    { token = wanted.token.token, witness = wanted.witness }, JOIN_MS)
  return joined and true, failure
end

local function await_up(wanted, context)
  local deadline <const> = system.now_ms() + UP_MS
  while true do
    local node <const> = context.call("node.show", { node = wanted.name })
    if node and node.state == "up" then
      return true
    elseif system.now_ms() > deadline then
      return nil, vios.error("timeout", "it does not come up in " .. UP_MS // 1000 .. " s",
        { object = object_of(wanted.name),
          hint = "can the other nodes reach " .. wanted.address .. "?" })
    end
    local slept <const>, err = system.sleep(POLL_SECONDS)
    if not slept then
      return nil, err
    end
  end
end

local STEPS <const> = {
  { make_token, function() return "make a token with which one node may join" end },
  { write, function(wanted) return "write " .. wanted.place.config end },
  { start, function(wanted)
    return "start its daemon" .. (wanted.service and " (vios.service)" or "")
  end },
  { join, function(wanted)
    return "join as " .. wanted.name .. " at " .. wanted.address
      .. (wanted.witness and ", a witness" or "")
  end },
  { await_up, function(wanted) return "wait until " .. wanted.name .. " is up" end },
}

local function note(wanted, context, text)
  context.note(wanted.place.host:sub(5) .. ": " .. text)
end

local function take_steps(wanted, context, undo)
  for _, step in ipairs(STEPS) do
    note(wanted, context, step[2](wanted))
    local done <const>, err = step[1](wanted, context, undo)
    if not done then
      return nil, err
    end
  end
  return true
end

local function undo_all(wanted, context, undo)
  if #undo > 0 then
    note(wanted, context, "undo that")
  end
  for i = #undo, 1, -1 do
    local undone <const>, err = undo[i]()
    if not undone then
      note(wanted, context, "not undone: " .. tostring(err))
    end
  end
end

-- parameters: host, name, dir, address, port, witness
function node_add.add(parameters, context)
  local good, err = check(parameters)
  local wanted
  if good then
    wanted, err = plan(parameters, context)
  end
  if not wanted then
    return nil, err
  elseif context.options.dry_run then
    local lines = {}
    for i, step in ipairs(STEPS) do
      lines[i] = wanted.place.host:sub(5) .. ": " .. step[2](wanted)
    end
    return { name = wanted.name, would = lines }
  end
  local undo <const> = {}
  local done
  system.finally(function()
    done, err = take_steps(wanted, context, undo)
  end, function()
    if not done then
      undo_all(wanted, context, undo)
    end
  end)
  return done and { name = wanted.name, address = wanted.address } or nil, err
end

-- --- node remove ---

-- Whether what is to be removed there is of that node: true, or nil, err.
local function check_noted(parameters, place, context)
  local noted <const>, err = far.is_noted(place, "node " .. parameters.node, context.options)
  if noted == false then
    return refuse("not_found", place, "in " .. place.state .. " nothing says that \"vios node add\""
      .. " made node \"" .. parameters.node .. "\"",
      place.dir and "is it another --dir?" or "give its folder with --dir, if it has one")
  end
  return noted, err
end

local function check_remove(parameters, context)
  if not parameters.host then
    if parameters.dir then
      return usage("--dir", "it is a folder of a host", "say with --host of which")
    end
    return true
  elseif parameters.wait == false then
    return usage("--no-wait", "what is there is removed when the node is no member any more",
      "leave --no-wait or --host out")
  end
  local good <const>, err = check(parameters)
  if not good then
    return nil, err
  end
  return check_noted(parameters, far.place(parameters.host, parameters.dir), context)
end

node_add.rehearse_remove = check_remove

-- parameters: node, host, dir, wait
function node_add.remove(parameters, context)
  local good, err = check_remove(parameters, context)
  local result
  if good then
    result, err = context.call("node.remove", { node = parameters.node, wait = parameters.wait })
  end
  if not parameters.host or not good or not result and err.code ~= "not_found" then
    return result, err
  end
  local place <const> = far.place(parameters.host, parameters.dir)
  context.note(place.host:sub(5) .. ": stop the daemon, remove what \"vios node add\" made")
  good, err = far.remove(place, "node " .. parameters.node, context.options)
  return good and { name = parameters.node } or nil, err
end

return node_add
