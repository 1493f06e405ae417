-- on.lua - a command on several nodes at once: what they answer, with equal answers as one, and who
-- failed and why. Exit status 3 when some did.

local vios <const> = require("vios")
local parallel <const> = require("vios.parallel")
local execute <const> = require("vios.execute")
local fold <const> = require("vios.node_set").fold

local on = {}

-- Answers in the order of the nodes; those that are equal share their place: { value, nodes }.
local function gather(nodes, answers)
  local groups, of = {}, {}
  for i, node in ipairs(nodes) do
    if answers[i] ~= nil then
      local key <const> = vios.json.encode(answers[i])
      if not of[key] then
        of[key] = { value = answers[i], nodes = {} }
        groups[#groups + 1] = of[key]
      end
      table.insert(of[key].nodes, node)
    end
  end
  return groups
end

-- The name of the node stands before it already.
local function without_node(err, node)
  if vios.errors.is(err) and err.object == node then
    return vios.error(err.code, err.message, { hint = err.hint })
  end
  return err
end

-- Says what failed, a line for each node; the exit status.
local function conclude(nodes, failures, globals, report)
  local failed = {}
  for i, node in ipairs(nodes) do
    if failures[i] then
      failed[#failed + 1] = node
      report(without_node(failures[i], node), globals, node)
    end
  end
  if #failed > 0 and not globals.quiet and not globals.json then
    io.stderr:write("vios: failed on ", #failed, " of ", #nodes, " nodes: ", fold(failed), "\n")
  end
  return #failed == 0 and 0 or 3
end

-- Runs work(node) for each at once, with a bar that counts them: answers and failures by index.
local function run_all(nodes, globals, work)
  local bar <const> = #nodes > 1 and require("vios.progress").new(globals) or nil
  local answers, failures, functions, ended = {}, {}, {}, 0
  for i, node in ipairs(nodes) do
    functions[i] = function() return work(node, bar) end
  end
  parallel.each(functions, function(index, ok, value, err)
    ended = ended + 1
    answers[index] = ok and value or nil
    failures[index] = not ok and value or (value == nil and err) or nil
    if bar then
      bar.show({ done = ended, total = #nodes, unit = "nodes" })
    end
  end)
  if bar then
    bar.clear()
  end
  return answers, failures
end

-- As JSON: one object, with a member for each node that answered.
local function print_json(nodes, answers)
  local object = {}
  for i, node in ipairs(nodes) do
    object[node] = answers[i]
  end
  io.write(vios.json.encode(object, { indent = true }), "\n")
end

-- The items of streams come as they come, each with the node that it is of.
local function item_of(row, node, globals)
  local its <const> = setmetatable({ columns = { "on" } }, { __index = row })
  table.move(row.columns or {}, 1, #(row.columns or {}), 2, its.columns)
  return function(value)
    if type(value) == "table" then
      value.on = node
    end
    require("vios.printer").item(its, value, globals, false)
  end
end

local function print_groups(groups, parse, globals, failures, index_of)
  for _, group in ipairs(groups) do
    print(fold(group.nodes) .. ":")
    local ok, err = require("vios.printer").print(parse.row, group.value, globals,
      parse.parameters)
    local bad <const> = not ok and err
      or (parse.row.verdict and parse.row.verdict(group.value)) or nil
    for _, node in ipairs(bad and group.nodes or {}) do
      failures[index_of[node]] = bad
    end
  end
end

-- Runs what was parsed on the nodes; `report` is cli.report. An exit status.
function on.run(nodes, parse, globals, report)
  local row <const> = parse.row
  if row.console then
    return report(vios.error("usage", row.name .. " is of one node",
      { hint = "use: on " .. nodes[1] .. " " .. row.name .. " ..." }), globals)
  end
  local streams <const> = row.stream and not row.collected
  local answers, failures = run_all(nodes, globals, function(node, bar)
    local options <const> = setmetatable({ on = node }, { __index = globals })
    return execute.run(row, parse.parameters, options, {
      item = streams and item_of(row, node, globals) or nil,
      note = function(text)
        if not globals.quiet then
          if bar then
            bar.clear()
          end
          io.stderr:write(node, ": ", vios.term.escape(text), "\n")
        end
      end,
    })
  end)
  local index_of = {}
  for i, node in ipairs(nodes) do
    index_of[node] = i
  end
  if globals.json and not streams then
    print_json(nodes, answers)
  elseif not streams and not (globals.quiet and row.text) then
    print_groups(gather(nodes, answers), parse, globals, failures, index_of)
  end
  return conclude(nodes, failures, globals, report)
end

-- Lines of a text, each behind the name of who said it.
local function say(node, text)
  for line in text:gmatch("[^\n]+") do
    io.stderr:write(node, ": ", vios.term.escape(line), "\n")
  end
end

local function print_output(group, alone)
  if not alone then
    print(fold(group.nodes) .. ":")
  end
  io.write(group.value.out)
  if group.value.out ~= "" and group.value.out:sub(-1) ~= "\n" then
    io.write("\n")
  end
  io.stdout:flush()
  for _, node in ipairs(group.nodes) do
    say(node, group.value.err)
    if group.value.cut then
      say(node, "it said more than 1 MiB: the rest is left out")
    end
  end
end

-- A command of the shell, by ssh, on the nodes of globals.on. An exit status.
function on.shell(command, globals, report)
  local nodes, err = require("vios.connection").targets(globals)
  if not nodes then
    return report(err, globals)
  end
  local answers, failures = run_all(nodes, globals, function(node)
    return execute.shell(command, setmetatable({ on = node }, { __index = globals }))
  end)
  if globals.json then
    print_json(nodes, answers)
  else
    for _, group in ipairs(gather(nodes, answers)) do
      print_output(group, #nodes == 1)
    end
  end
  for i in pairs(nodes) do
    local status <const> = answers[i] and answers[i].status or 0
    failures[i] = failures[i] or (status ~= 0
      and vios.error("io", "the command ended with status " .. status) or nil)
  end
  if #nodes == 1 then
    return failures[1] and report(without_node(failures[1], nodes[1]), globals, nodes[1]) or 0
  end
  return conclude(nodes, failures, globals, report)
end

return on
