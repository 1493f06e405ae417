-- self_test.lua - walks the command rows: each is whole, and fits the daemon's method table when
-- one answers. Speaks TAP.

local commands <const> = require("vios.commands")
local parser <const> = require("vios.parser")
local execute <const> = require("vios.execute")
local words <const> = require("vios.words")

local self_test = {}

-- The faults of a row by itself, and of its examples.
local function faults_of(row)
  local faults = commands.faults(row)
  for _, example in ipairs(row.examples or {}) do
    local parse, err = parser.parse((words.split(example)))
    if not parse or (parse.row ~= row and not row.raw and not row.means) then
      faults[#faults + 1] = "example: " .. example .. ": " .. tostring(err)
    end
  end
  if not row.examples or #row.examples == 0 then
    faults[#faults + 1] = "no example"
  end
  if row.means and not row.stands_for then
    faults[#faults + 1] = "it does not say what it stands for"
  end
  for _, name in ipairs(row.stands_for or {}) do
    if not commands.row(name:match("^(%a+) (%a+)$")) then
      faults[#faults + 1] = "it stands for " .. name
    end
  end
  return faults
end

-- The faults of a row against the method it calls.
local function compare(row, method)
  local faults = {}
  if not method then
    return { "the daemon has no method " .. row.method }
  end
  local known, given = {}, {}
  for _, parameter in ipairs(method.parameters) do
    known[parameter.name] = parameter
  end
  local function check(item, needed)
    local parameter = known[item.name]
    given[item.name] = true
    if not parameter then
      faults[#faults + 1] = "the method has no parameter " .. item.name
    elseif needed == false and not parameter.optional then
      faults[#faults + 1] = "the method needs " .. item.name
    elseif parameter.type == "integer" and item.type ~= "integer" then
      faults[#faults + 1] = item.name .. " must be of type integer"
    elseif (parameter.type == "list") ~= (item.many == true) and parameter.type ~= "object" then
      faults[#faults + 1] = item.name .. ": `many` in one place, and not in the other"
    end
  end
  for _, argument in ipairs(row.arguments) do
    check(argument, not argument.optional)
  end
  for _, option in ipairs(row.options) do
    check(option, option.required == true)
  end
  if (method.job == true) ~= (row.job == true) then
    faults[#faults + 1] = "`job` in one place, and not in the other"
  end
  for name, parameter in pairs(known) do
    if not parameter.optional and not given[name] then
      faults[#faults + 1] = "the method needs " .. name
    end
  end
  table.sort(faults)
  return faults
end

-- The daemon's methods by name; nil when none answers.
local function describe(globals)
  local result = execute.call("rpc.describe", {}, globals)
  if not result then
    return nil
  end
  local methods = {}
  for _, method in ipairs(result.methods or result) do
    methods[method.name] = method
  end
  return methods
end

-- Methods that no row calls, sorted; rpc.*, daemon.* and those of other daemons are for programs.
local function without_row(methods)
  local called, names = {}, {}
  for _, row in ipairs(commands.all()) do
    called[row.method] = true
  end
  for name in pairs(methods) do
    local is_for_programs <const> = name:match("^rpc%.") or name:match("^daemon%.")
      or name == "node.admit" or name == "node.call"
    if not called[name] and not is_for_programs then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

function self_test.run(globals)
  local methods = describe(globals)
  local count, failed = 0, 0
  for _, row in ipairs(commands.all()) do
    local faults = faults_of(row)
    if methods and not (row.run or row.means) then
      for _, fault in ipairs(compare(row, methods[row.method])) do
        faults[#faults + 1] = fault
      end
    end
    count = count + 1
    failed = failed + (#faults > 0 and 1 or 0)
    print((#faults > 0 and "not ok " or "ok ") .. count .. " - " .. row.name)
    for _, fault in ipairs(faults) do
      print("# " .. row.name .. ": " .. fault)
    end
  end
  for _, name in ipairs(methods and without_row(methods) or {}) do
    count = count + 1
    failed = failed + 1
    print("not ok " .. count .. " - method " .. name .. " has a command")
  end
  if not methods then
    print("# no daemon answers: the rows were not compared with its methods")
  end
  print("1.." .. count)
  return failed == 0 and 0 or 1
end

return self_test
