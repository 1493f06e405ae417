-- metrics.lua - the word `metrics`: the cluster in numbers, as OpenMetrics text.
--
-- All are gauges and counters with plain names: these mean the same in the older text format, which
-- the textfile collector of node_exporter reads and where what OpenMetrics adds is a comment. Each
-- node tells what it sees; the pages of a paging device are told by the node that hosts it.

local vios <const> = require("vios")
local execute <const> = require("vios.execute")

local metrics = {}

local TIMEOUT <const> = "10s" -- for each call, unless --timeout says another

-- So that what is not there is told as 0, and a graph has no holes; others may come.
local CLUSTER_STATES <const> = { "OK", "DEGRADED", "DOWN" }
local NODE_STATES <const> = { "up", "suspect", "down", "drained" }
local LPAR_STATES <const> = { "running", "starting", "stopping", "stopped", "paused", "panicked",
  "watchdog", "io-error", "hibernated", "unknown" }
local PAGING_STATES <const> = { "OK", "DEGRADED", "DOWN", "HIBERNATED" }
local JOB_STATES <const> = { "running", "undoing", "done", "failed", "cancelled" }

-- --- what is asked ---

-- What the daemon says; a part that could not be had is missing, and `db` is false then.
function metrics.gather(globals)
  local options <const> = setmetatable({ timeout = globals.timeout or TIMEOUT },
    { __index = globals })
  local told <const> = { db = true }
  local is_late = false -- then nothing more is asked
  local function ask(method, parameters)
    if is_late then
      return nil
    end
    local result <const>, err <const> = execute.call(method, parameters or {}, options)
    if err and err.code == "cancelled" then
      error(err, 0)
    end
    is_late = err ~= nil and err.code == "timeout"
    return result
  end
  told.up = ask("config.get", { key = "node" }) ~= nil
  if not told.up then
    return told
  end
  told.cluster, told.nodes = ask("cluster.status"), ask("node.list")
  for _, part in ipairs({ "lpar", "paging", "pool", "job" }) do
    told[part] = ask(part .. ".list")
    told.db = told.db and told[part] ~= nil
  end
  told.page_memory = {}
  for _, node in ipairs(told.nodes or {}) do
    table.insert(told.page_memory, ask("node.show", { node = node.name }))
  end
  return told
end

-- --- what is told ---

-- A sample for each object; `value` is a field's name, or a function of the object. Those whose
-- value is not known have none.
local function each(list, label, field, value)
  local samples <const> = {}
  for _, object in ipairs(list or {}) do
    local number <const> = type(value) == "function" and value(object) or object[value]
    if number then
      samples[#samples + 1] = { labels = { { label, object[field] } }, value = number }
    end
  end
  return samples
end

-- How many objects are in each state.
local function by_state(list, states)
  local counts <const>, order <const> = {}, { table.unpack(states) }
  for _, state in ipairs(states) do
    counts[state] = 0
  end
  for _, object in ipairs(list or {}) do
    if not counts[object.state] then
      counts[object.state] = 0
      order[#order + 1] = object.state
    end
    counts[object.state] = counts[object.state] + 1
  end
  local samples <const> = {}
  for index, state in ipairs(list and order or {}) do
    samples[index] = { labels = { { "state", state } }, value = counts[state] }
  end
  return samples
end

-- 1 for the state that each object is in, and 0 for the others.
local function in_state(list, label, field, states)
  local samples <const> = {}
  for _, object in ipairs(list or {}) do
    for _, state in ipairs(states) do
      samples[#samples + 1] = { labels = { { label, object[field] }, { "state", state } },
        value = object.state == state and 1 or 0 }
    end
  end
  return samples
end

local function one(value)
  return value and { { labels = {}, value = value } } or {}
end

local function flag(truth)
  return truth and 1 or 0
end

local function missing(lpars)
  local count = 0
  for _, lpar in ipairs(lpars or {}) do
    count = count + flag(lpar.wanted == "running" and lpar.state ~= "running")
  end
  return lpars and count
end

local function used(pool)
  return pool.size_bytes and pool.free_bytes and pool.size_bytes - pool.free_bytes
end

-- The families of what gather() was told, in order: { name, type, unit, help, samples }.
function metrics.families(told)
  local families <const> = {}
  local function add(name, kind, unit, help, samples)
    families[#families + 1] = { name = "vios_" .. name, type = kind, unit = unit, help = help,
      samples = samples }
  end
  local cluster <const> = told.cluster or {}
  local has_primary <const> = cluster.primary and cluster.primary ~= ""
  add("up", "gauge", nil, "Whether the daemon answers.", one(flag(told.up)))
  if not told.up then
    return families
  end
  add("db_up", "gauge", nil, "Whether the VIOS DB answers.", one(flag(told.db)))
  add("cluster_state", "gauge", nil, "1 for the state of the cluster, as this node sees it.",
    in_state({ told.cluster }, "cluster", "name", CLUSTER_STATES))
  add("epoch", "gauge", nil, "The primary's epoch; it grows with each election.",
    one(cluster.epoch))
  add("primary", "gauge", nil, "1 for the node that is the primary.",
    has_primary and each({ cluster }, "node", "primary", function() return 1 end) or {})
  add("nodes", "gauge", nil, "Nodes by state.", by_state(told.nodes, NODE_STATES))
  add("node_up", "gauge", nil, "Whether a node is up, also when it is drained.",
    each(told.nodes, "node", "name",
      function(node) return flag(node.state == "up" or node.state == "drained") end))
  add("page_memory_size_bytes", "gauge", "bytes", "Page memory that a node lends.",
    each(told.page_memory, "node", "name", "page_memory_bytes"))
  add("page_memory_used_bytes", "gauge", "bytes", "Page memory of a node that is granted.",
    each(told.page_memory, "node", "name", "page_memory_used_bytes"))
  add("lpars", "gauge", nil, "LPARs by state.", by_state(told.lpar, LPAR_STATES))
  add("lpars_missing", "gauge", nil, "LPARs that should run and do not.",
    one(missing(told.lpar)))
  add("paging_state", "gauge", nil, "1 for the state of a paging device.",
    in_state(told.paging, "lpar", "lpar", PAGING_STATES))
  add("paging_size_bytes", "gauge", "bytes", "Size of a paging device.",
    each(told.paging, "lpar", "lpar", "size_bytes"))
  add("paging_in_pages", "counter", "pages", "Pages that an LPAR read from its paging device.",
    each(told.paging, "lpar", "lpar", "pages_in"))
  add("paging_out_pages", "counter", "pages", "Pages that an LPAR wrote to its paging device.",
    each(told.paging, "lpar", "lpar", "pages_out"))
  add("paging_errors", "counter", nil, "Requests of an LPAR to its paging device that failed.",
    each(told.paging, "lpar", "lpar", "errors"))
  add("pool_up", "gauge", nil, "Whether this node has mounted a pool.",
    each(told.pool, "pool", "name", function(pool) return flag(pool.state == "OK") end))
  add("pool_size_bytes", "gauge", "bytes", "Size of a pool.",
    each(told.pool, "pool", "name", "size_bytes"))
  add("pool_used_bytes", "gauge", "bytes", "What of a pool is used.",
    each(told.pool, "pool", "name", used))
  add("pool_promised_bytes", "gauge", "bytes", "What the LUs of a pool may grow to.",
    each(told.pool, "pool", "name", "promised_bytes"))
  add("jobs", "gauge", nil, "Jobs by state, of those that are remembered.",
    by_state(told.job, JOB_STATES))
  return families
end

-- --- how it is written ---

local ESCAPES <const> = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function labels_text(labels)
  local parts <const> = {}
  for index, label in ipairs(labels) do
    parts[index] = ('%s="%s"'):format(label[1], tostring(label[2]):gsub('[\\"\n]', ESCAPES))
  end
  return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or ""
end

-- OpenMetrics text of families; one without samples is left out.
function metrics.render(families)
  local lines <const> = {}
  local function add(...)
    lines[#lines + 1] = table.concat({ ... }, " ")
  end
  for _, family in ipairs(families) do
    if #family.samples > 0 then
      add("# TYPE", family.name, family.type)
      if family.unit then
        add("# UNIT", family.name, family.unit)
      end
      add("# HELP", family.name, (family.help:gsub('[\\"\n]', ESCAPES)))
    end
    local suffix <const> = family.type == "counter" and "_total" or ""
    for _, sample in ipairs(family.samples) do
      add(family.name .. suffix .. labels_text(sample.labels), tostring(sample.value))
    end
  end
  add("# EOF")
  return table.concat(lines, "\n") .. "\n"
end

-- Writes all of it or nothing: who reads the file meanwhile has what was there before.
function metrics.write(path, text)
  local new <const> = ("%s.%d.new"):format(path, vios.os.pid())
  local written, err
  vios.os.finally(function()
    written, err = vios.os.write_file(new, text)
    if written then
      local why
      written, why = os.rename(new, path)
      err = not written and vios.error("system", why, { object = path }) or nil
    end
  end, function() os.remove(new) end)
  return written, err
end

-- `metrics [--file PATH]`: an exit status, or nil, err.
function metrics.run(parameters, globals)
  local text <const> = metrics.render(metrics.families(metrics.gather(globals)))
  if not parameters.file then
    io.write(text)
    return 0
  end
  local written <const>, err <const> = metrics.write(parameters.file, text)
  return written and 0 or nil, err
end

return metrics
