-- ffdc.lua - the commands of noun "ffdc": what nodes captured when something failed. What only
-- reads needs no daemon: the daemon's program looks at the bundles itself (core/ffdc/offline.h).

local vios <const> = require("vios")

local CORRELATOR <const> = { name = "correlator", words = "the incident", complete = "ffdc" }
local DIR <const> = { name = "dir", value = "FOLDER", complete = "file", local_file = true,
  words = "look at the bundles in this folder, not those of the node" }
local CONFIG <const> = { name = "config", value = "FILE", complete = "file", local_file = true,
  words = "the node's configuration, if not that of the node that would be asked" }
local COLUMNS <const> = { "correlator", "time", "trigger", "nodes", "size_bytes", "count" }
local ALL <const> = { "correlator", "time", "last", "count", "trigger", "component", "priority",
  "signature", "node", "state", "size_bytes", "file", "nodes" }
local NODES <const> = { nodes = { "node", "state", "size_bytes", "epoch", "clock_offset_ms", "why",
  "digest" } }

local function size(bytes)
  return require("vios.printer").size(bytes)
end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or vios.os.real_path(".") .. "/" .. path
end

-- Runs the daemon's program on the bundles; `item` is called for each that it says.
local function look(verb, parameters, context, item, more)
  local words <const> = { "--ffdc", verb }
  local function add(name, value)
    if value then
      table.move({ name, value }, 1, 2, #words + 1, words)
    end
  end
  add("--correlator", parameters.correlator)
  add("--dir", parameters.dir and absolute(parameters.dir))
  table.move(more or {}, 1, more and #more or 0, #words + 1, words)
  return require("vios.offline").run(words, parameters, context.options, context.note, item)
end

-- The daemon's answer; without one, or for a folder, our own.
local function either(method, verb, parameters, context)
  if not parameters.dir and not parameters.config then
    local sent <const> = { correlator = parameters.correlator }
    local result, err = context.call(method, sent)
    if result or err.code ~= "unreachable" then
      return result, err
    end
    context.note(err.message .. ": looking without it")
  end
  return nil, nil, function(item) return look(verb, parameters, context, item) end
end

local function list(parameters, context)
  local rows, err, offline = either("ffdc.list", "list", parameters, context)
  if not offline then
    return rows, err
  end
  rows = vios.json.array({})
  local result <const>, failure = offline(function(row) rows[#rows + 1] = row end)
  return result and rows, failure
end

local function show(parameters, context)
  local incident <const>, err, offline = either("ffdc.show", "show", parameters, context)
  if not offline then
    return incident, err
  end
  return offline()
end

local function timeline(parameters, context)
  local rows <const> = vios.json.array({})
  local result <const>, err = look("timeline", parameters, context,
    function(row) rows[#rows + 1] = row end)
  return result and rows, err
end

local function export(parameters, context)
  local more <const> = { "--to", absolute(parameters.file) }
  if parameters.redact then
    more[#more + 1] = "--redact"
  end
  return look("export", parameters, context, nil, more)
end

local function told(incident)
  local there, missing = 0, {}
  for _, node in ipairs(incident.nodes) do
    if node.state == "missing" then
      missing[#missing + 1] = ("%s is missing: %s"):format(node.node, node.why)
    else
      there = there + 1
    end
  end
  local lines <const> = { ("incident %s: %d of %d nodes, %s"):format(incident.correlator, there,
    #incident.nodes, size(incident.size_bytes)) }
  table.move(missing, 1, #missing, 2, lines)
  return table.concat(lines, "\n")
end

return {
  noun = "ffdc",
  summary = "what nodes captured when something failed (first failure data capture)",
  rows = {
    {
      verb = "capture",
      summary = "capture what all nodes know now, under one correlator",
      options = {
        { name = "trigger", value = "TEXT", words = "why; shown in the list" },
        { name = "component", value = "WORD", words = "what it is about (full)" },
        { name = "priority", value = "WORD", complete = { "high", "medium", "low" },
          words = "high, medium or low (medium)" },
      },
      text = told,
      examples = { "ffdc capture", "ffdc capture --trigger \"guests are slow\" --component lpar" },
    },
    {
      verb = "list",
      summary = "list the incidents that were captured, oldest first",
      run = list,
      restricted = true,
      options = { DIR, CONFIG },
      columns = COLUMNS,
      examples = { "ffdc list", "ffdc list --dir /repository/ffdc" },
    },
    {
      verb = "show",
      summary = "show what was captured on which node, and why not on others",
      run = show,
      restricted = true,
      arguments = { CORRELATOR },
      options = { DIR, CONFIG },
      columns = ALL,
      nested = NODES,
      examples = { "ffdc show 7" },
    },
    {
      verb = "collect",
      summary = "ask the nodes again whose parts are missing",
      arguments = { CORRELATOR },
      text = told,
      examples = { "ffdc collect 7" },
    },
    {
      verb = "timeline",
      summary = "show what the flight recorders of all nodes say, in one order",
      run = timeline,
      arguments = { CORRELATOR },
      options = { DIR, CONFIG },
      columns = { "time", "node", "epoch", "part", "text" },
      examples = { "ffdc timeline 7", "ffdc timeline 7 --json" },
    },
    {
      verb = "export",
      summary = "write all bundles of an incident into one archive",
      run = export,
      arguments = { CORRELATOR, { name = "file", words = "the new file", complete = "file",
        local_file = true } },
      options = {
        { name = "redact",
          words = "put aliases for addresses, guests' names and what looks like a secret" },
        DIR, CONFIG,
      },
      text = function(result)
        return ("%s: %d files, %s%s"):format(result.file, result.files, size(result.size_bytes),
          result.left_out > 0 and (", %d left out"):format(result.left_out) or "")
      end,
      examples = { "ffdc export 7 /tmp/incident7.tar.zst --redact" },
    },
    {
      verb = "prune",
      summary = "remove an incident, or those that are older, or beyond the limits",
      arguments = { { name = "correlator", words = "the incident", complete = "ffdc",
        optional = true } },
      options = {
        { name = "older", value = "TIME", type = "duration", words = "those older than this" },
      },
      confirm = "removes captured data",
      text = function(result)
        return ("%d incident%s removed"):format(result.removed, result.removed == 1 and "" or "s")
      end,
      examples = { "ffdc prune 7 --yes", "ffdc prune --older 7d --yes" },
    },
  },
}
