-- arguments.lua - vios.arguments: the words that a script was given, checked like a command's.
--
--   local given <const> = vios.arguments({
--     summary = "empty a node",
--     arguments = {
--       { name = "node", words = "its name" },
--       { name = "limit", type = "duration", optional = true, default = 600,
--         words = "how long it may take (10m)" },
--     },
--     options = { { name = "force", words = "at once" }, "json" },
--     examples = { "n2", "n2 90s --json" },      -- what stands behind the script's name
--   })
--   print(given.node, given.limit, given.force)
--
-- Arguments and options are as those of a row, see commands.lua, and may have a `default`. An
-- option that is only a name is one that all commands have: json and those beside it, which
-- vios.printer takes, or socket; it may stand before the script's name, too. `name` is that of the
-- script, if it is not to be the one it was called by.
--
-- Returns a table with the values by name: integers and sizes (in bytes) as numbers, durations in
-- seconds, a flag as true. --help prints what there is, and ends the script with 0. Words that do
-- not fit raise an error; unless it is caught, the shell reports it and ends with 2.

local vios <const> = require("vios")
local cli <const> = require("vios.cli")
local commands <const> = require("vios.commands")
local connection <const> = require("vios.connection")
local execute <const> = require("vios.execute")
local help <const> = require("vios.help")
local nearest <const> = require("vios.nearest")
local parser <const> = require("vios.parser")
local words <const> = require("vios.words")

local CALL_LEVEL <const> = 3 -- of the script's call, as misuse() sees it

local function misuse(message)
  error("vios.arguments: " .. message, CALL_LEVEL)
end

-- The option of all commands that has this name.
local function shared_option(name)
  local names <const> = {}
  for index, option in ipairs(parser.GLOBALS) do
    if option.name == name then
      return option
    end
    names[index] = option.name
  end
  return nil, ('no command has the option "%s"%s'):format(name, nearest.hint(name, names))
end

-- The script as a row, or nil, message.
local function row_of(description)
  local script <const> = (rawget(_G, "arg") or {})[0]
  local row <const> = {
    name = description.name or script and "vios " .. script or "script",
    summary = description.summary,
    arguments = description.arguments or {},
    options = {},
    examples = {},
    alone = true,
  }
  for index, option in ipairs(description.options or {}) do
    local message
    if type(option) == "string" then
      option, message = shared_option(option)
    end
    if not option then
      return nil, message
    end
    row.options[index] = option
  end
  for index, example in ipairs(description.examples or {}) do
    row.examples[index] = row.name .. " " .. example
  end
  return row, commands.faults(row)[1]
end

-- What was checked, as a number where it is one.
local function number_of(item, value)
  if type(value) == "table" then
    for index, element in ipairs(value) do
      value[index] = number_of(item, element)
    end
    return value
  elseif item.type == "size" then
    return vios.parse.size(value)
  elseif item.type == "duration" then
    return vios.parse.duration(value) / 1000
  end
  return value
end

-- The values by name, with those that were not given; nil, err.
local function values_of(row, given)
  local values <const>, err = execute.parameters(row, given)
  if not values then
    return nil, err
  end
  for _, list in ipairs({ row.arguments, row.options }) do
    for _, item in ipairs(list) do
      local value <const> = values[item.name]
      if value == nil then
        values[item.name] = item.default
      else
        values[item.name] = number_of(item, value)
      end
    end
  end
  return values
end

-- Those of all commands may stand before the script, and hold for its calls and for what the shell
-- says of it.
local function share(row, values)
  for _, option in ipairs(row.options) do
    local name <const> = option.name
    if option == shared_option(name) then
      values[name] = values[name] or cli.defaults[name]
      cli.defaults[name], connection.defaults[name] = values[name], values[name]
    end
  end
  return values
end

local function fail(row, list, err)
  for _, word in ipairs(list) do
    if word == "--json" then
      share(row, { json = true })
    end
  end
  error(err, 0)
end

-- `list` are the words, if not those of the script.
local function arguments(description, list)
  local row <const>, fault <const> = row_of(description)
  if not row or fault then
    misuse(fault)
  end
  for _, example in ipairs(description.examples or {}) do
    local parse <const>, err <const> = parser.parse_row(row, (words.split(example)))
    if not parse then
      misuse("example: " .. example .. ": " .. tostring(err))
    end
  end
  list = list or rawget(_G, "arg") or {}
  local parse, err = parser.parse_row(row, list)
  if parse and parse.globals.help then
    io.write(help.row(row))
    os.exit(0)
  end
  local values
  if parse then
    values, err = values_of(row, parse.parameters)
  end
  return values and share(row, values) or fail(row, list, err)
end

return arguments
