-- functions.lua - each command as a Lua function: vios.lpar.start{lpar = "web1"}, the same as
-- vios.lpar_start("web1"). It returns a plain table, or nil and an error.

local commands <const> = require("vios.commands")
local nearest <const> = require("vios.nearest")

local functions = {}

-- Options that a function call may give beside the command's own; `progress` is called with
-- { done, total, unit } now and then, as vios.progress.new({}).show is.
local GLOBALS <const> = { on = true, socket = true, timeout = true, progress = true }

-- Puts positional values under the names of the row's arguments.
local function name_positional(row, given, parameters)
  local at = 1
  for _, argument in ipairs(row.arguments) do
    if argument.many and given[at] ~= nil then
      parameters[argument.name] = { table.unpack(given, at) }
      at = #given + 1
    elseif given[at] ~= nil then
      parameters[argument.name] = given[at]
      at = at + 1
    end
  end
  if given[at] ~= nil then
    error(row.name .. ": too many arguments", 3)
  end
end

local function known_names(row)
  local names = {}
  for _, list in ipairs({ row.arguments, row.options }) do
    for _, item in ipairs(list) do
      names[#names + 1] = item.name
    end
  end
  return names
end

local function split_named(row, given, parameters, options)
  local names = known_names(row)
  local known = {}
  for _, name in ipairs(names) do
    known[name] = true
  end
  for name, value in pairs(given) do
    if type(name) == "number" then -- positional: done by name_positional
      goto continue
    elseif known[name] or (row.job and (name == "wait" or name == "operation")) then
      parameters[name] = value
    elseif GLOBALS[name] then
      options[name] = value
    else
      error(row.name .. ": no parameter '" .. tostring(name) .. "'"
        .. nearest.hint(tostring(name), names), 3)
    end
    ::continue::
  end
end

local function check_required(row, parameters)
  for _, list in ipairs({ row.arguments, row.options }) do
    for _, item in ipairs(list) do
      local required = list == row.arguments and not item.optional or item.required
      if required and parameters[item.name] == nil then
        error(row.name .. ": '" .. item.name .. "' is missing", 3)
      end
    end
  end
end

local function make(row)
  return function(first, ...)
    local given = type(first) == "table" and first or { first, ... }
    local parameters, options = {}, {}
    name_positional(row, given, parameters)
    split_named(row, given, parameters, options)
    check_required(row, parameters)
    return require("vios.execute").run(row, parameters, options, { progress = options.progress })
  end
end

local function of_noun(noun)
  local group = commands.noun(noun)
  if not group or group.builtin or group.powervm then
    return nil -- PowerVM's commands are other names of ours, for lines that people know
  end
  return setmetatable({}, {
    __index = function(proxy, verb)
      local row = group.by_verb[verb]
      local special <const> = (group.functions or {})[verb]
      if special then
        return special
      elseif not row then
        error(noun .. " has no '" .. tostring(verb) .. "'"
          .. nearest.hint(tostring(verb), functions.verbs(noun)), 2)
      end
      local call = make(row)
      rawset(proxy, verb, call)
      return call
    end,
    __call = noun == "node" and function(_, name) return require("vios.far").node(name) end or nil,
    __name = "vios." .. noun,
    __tostring = function()
      return "vios." .. noun .. ": " .. table.concat(functions.verbs(noun), ", ")
    end,
  })
end

-- The verbs of a noun, in order; empty for none.
function functions.verbs(noun)
  local group = commands.noun(noun)
  return group and group.verbs or {}
end

-- What `vios.NAME` is: a noun, or a function NOUN_VERB; nil for neither.
function functions.find(name)
  local noun, verb = name:match("^(%l+)_([%l_]+)$")
  if noun then
    local row = commands.row(noun, verb)
    return row and not commands.noun(noun).builtin and make(row) or nil
  end
  return of_noun(name)
end

return functions
