-- far.lua - other nodes in Lua:
--
--   node("n2"):lpar_list{}               the command there
--   node("n2"):shell("uptime")           its shell, by ssh: { out, err, status, cut }
--   vios.on({"n1", "n2"}, function(node) return node:lpar_list{} end)
--                                        on all of them at once: results by name, and nil, or
--                                        the errors by name too
--
-- A node is what --on takes: a member of the cluster, USER@HOST or ssh:HOST.

local parallel <const> = require("vios.parallel")

local far = {}

local Node <const> = {}

function Node.__tostring(node)
  return 'node("' .. rawget(node, "name") .. '")'
end

local function shell(node, command, options)
  local with <const> = setmetatable({ on = node.name }, { __index = options or {} })
  local function run()
    return require("vios.execute").shell(command, with)
  end
  if parallel.is_inside() then
    return run()
  end
  local results, failed = parallel.run({ run })
  return results[1], failed and failed[1]
end

function Node.__index(node, name)
  if name == "shell" then
    return shell
  end
  local call <const> = require("vios.functions").find(name)
  if type(call) ~= "function" then
    error(tostring(node) .. " has no '" .. tostring(name) .. "'"
      .. ": give NOUN_VERB, as lpar_list, or shell", 2)
  end
  return function(_, first, ...)
    local parameters = {}
    for key, value in pairs(type(first) == "table" and first or { first, ... }) do
      parameters[key] = value
    end
    parameters.on = node.name
    return call(parameters)
  end
end

function far.node(name)
  if type(name) ~= "string" or name == "" then
    error("a node has a name", 3)
  end
  return setmetatable({ name = name }, Node)
end

function far.on(nodes, work)
  local names = nodes
  if type(nodes) == "string" then
    local err
    names, err = require("vios.connection").targets({ on = nodes })
    if not names then
      return nil, err
    end
  end
  local functions = {}
  for i, name in ipairs(names) do
    functions[i] = function() return work(far.node(name)) end
  end
  local results, failed = parallel.run(functions)
  local by_name, failed_by_name = {}, failed and {}
  for i, name in ipairs(names) do
    by_name[name] = results[i]
    if failed then
      failed_by_name[name] = failed[i]
    end
  end
  return by_name, failed_by_name
end

return far
