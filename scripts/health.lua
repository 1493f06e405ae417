-- health.lua - the health of the cluster for a monitoring system, as Nagios and those that run its
-- plugins want it: one line, what is behind it, and the exit status:
--
--     0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (it could not be found out; wrong words, too)
--
-- It looks at what the node that is asked sees: the VIOS DB, the primary, nodes that are not up,
-- paging devices that are not OK, LPARs that should run and do not, or that ended by themselves,
-- pools that are away or nearly full, jobs that failed lately, thresholds that are raised. A
-- viewer may run it. `vios scripts/health.lua --help` has the options.

local OK <const>, WARNING <const>, CRITICAL <const>, UNKNOWN <const> = 0, 1, 2, 3
local NAMES <const> = { [OK] = "OK", [WARNING] = "WARNING", [CRITICAL] = "CRITICAL",
  [UNKNOWN] = "UNKNOWN" }
-- Which counts when there are several.
local WEIGHT <const> = { [OK] = 0, [WARNING] = 1, [UNKNOWN] = 2, [CRITICAL] = 3 }

local TIMEOUT <const> = "10s" -- for each call, unless --timeout says another
local t <const> = vios.table

local function percent(name, default, words)
  return { name = name, value = "PERCENT", type = "integer", minimum = 0, maximum = 100,
    default = default, words = words }
end

local DESCRIPTION <const> = {
  summary = "tell a monitoring system how the cluster is",
  options = {
    percent("pool_free", 10, "WARNING for a pool with less free space (10)"),
    percent("pool_critical", 3, "CRITICAL for one with less than this (3)"),
    { name = "since", value = "TIME", type = "duration", default = 3600,
      words = "WARNING for jobs that failed since then (1h); 0: for none" },
    "json", "timeout", "socket",
  },
  examples = { "", "--pool-free 20 --since 15m", "--json" },
}

-- What was found, in the order of the checks.
local findings <const> = vios.json.array({})
local told <const> = {}

local function find(level, check, object, format, ...)
  local text <const> = vios.term.escape(format:format(...)):gsub("|", "/") -- | ends a plugin's text
  if not told[text] then -- a VIOS DB that is away fails each question in the same way
    told[text] = true
    findings[#findings + 1] = { state = NAMES[level], level = level, check = check,
      object = object, text = text }
  end
end

-- What a call returns; when it fails that is found, and there is nothing to look at. After a
-- time-out nothing more is asked: whoever runs this has a limit, too.
local is_late = false

local function ask(check, call, given)
  if is_late then
    return nil
  end
  local result <const>, err <const> = call({ timeout = given.timeout or TIMEOUT })
  if not result then
    is_late = err.code == "timeout"
    find(err.code == "denied" and UNKNOWN or CRITICAL, check, "", "%s", err)
  end
  return result
end

local function check_cluster(status, given)
  if status.state == "DOWN" then
    find(CRITICAL, "cluster", status.name, "this node is down: it cannot write to the VIOS DB")
  end
  local primary <const> = ask("primary", vios.primary.show, given)
  if primary and primary.state ~= "committed" then
    find(primary.state == "suspect" and WARNING or CRITICAL, "primary", primary.node,
      primary.state == "none" and "there is no primary" or "the primary %s is %s", primary.node,
      primary.state)
  end
end

local NODE_LEVELS <const> = { down = CRITICAL, suspect = WARNING, drained = WARNING }

local function check_nodes(nodes)
  for _, node in ipairs(nodes) do
    if NODE_LEVELS[node.state] then
      find(NODE_LEVELS[node.state], "node", node.name, "node %s is %s since %s", node.name,
        node.state, node.since)
    end
  end
end

local function check_paging(devices)
  for _, device in ipairs(devices) do
    if device.state ~= "OK" and device.state ~= "HIBERNATED" then
      local bad <const> = {}
      for _, replica in ipairs(device.replicas) do
        bad[#bad + 1] = replica.state ~= "current" and replica.node .. " " .. replica.state or nil
      end
      find(device.state == "DOWN" and CRITICAL or WARNING, "paging", device.lpar,
        "paging of %s is %s%s", device.lpar, device.state,
        #bad > 0 and ": " .. table.concat(bad, ", ") or "")
    end
  end
end

local ON_ITS_WAY <const> = { running = true, starting = true, stopping = true }
-- Why a guest may have stopped and be well; anything else ended it.
local WILLING <const> = { [""] = true, ["the guest shut down"] = true,
  ["stopped by the administrator"] = true }

local function check_lpars(lpars)
  for _, lpar in ipairs(lpars) do
    local why <const> = lpar.why ~= "" and ": " .. lpar.why or ""
    if lpar.wanted == "running" and not ON_ITS_WAY[lpar.state] then
      find(CRITICAL, "lpar", lpar.name, "LPAR %s should run, and is %s%s", lpar.name, lpar.state,
        why)
    elseif lpar.state == "stopped" and not WILLING[lpar.why] then
      find(CRITICAL, "lpar", lpar.name, "LPAR %s ended by itself%s", lpar.name, why)
    end
  end
end

local function check_pools(pools, given)
  for _, pool in ipairs(pools) do
    local size <const>, free <const> = pool.size_bytes, pool.free_bytes
    if pool.state ~= "OK" then
      find(CRITICAL, "pool", pool.name, "pool %s is %s: %s", pool.name, pool.state, pool.why)
    elseif size and free and size > 0 then
      local share <const> = 100 * free / size
      if share < math.max(given.pool_free, given.pool_critical) then
        find(share < given.pool_critical and CRITICAL or WARNING, "pool", pool.name,
          "pool %s has %.1f%% free", pool.name, share)
      end
    end
  end
end

local function check_jobs(given)
  if given.since == 0 then
    return
  end
  local jobs <const> = ask("job", vios.job.list, given) or {}
  local from <const> = os.date("!%Y-%m-%dT%H:%M:%S", os.time() - math.floor(given.since))
  for _, job in ipairs(t.where(jobs, { state = "failed" })) do
    if job.changed >= from then
      find(WARNING, "job", job.id, "job %s (%s, %s) failed%s", job.id, job.kind, job.object,
        job.error and ": " .. job.error.message or "")
    end
  end
end

local function check_alerts(alerts)
  for _, alert in ipairs(t.where(alerts, { state = "raised" })) do
    for _, raised in ipairs(alert.raised) do
      local where <const> = (raised.object and " of " .. raised.object or "")
        .. (raised.node and " on " .. raised.node or "")
      find(WARNING, "alert", alert.name, "threshold %s is raised%s: %s since %s", alert.name, where,
        raised.value, raised.since)
    end
  end
end

-- What there is, for a line that has nothing bad to say.
local function overview(status, nodes, lpars)
  local up <const> = #t.where(nodes or {}, { state = "up" })
  local running <const> = #t.where(lpars or {}, { state = "running" })
  return ("cluster %s: %d of %d nodes up, primary %s, %d of %d LPARs running"):format(status.name,
    up, #(nodes or {}), status.primary ~= "" and status.primary or "none", running, #(lpars or {}))
end

-- Looks at everything; what to say when nothing was found.
local function look(given)
  local status <const> = ask("cluster", vios.cluster.status, given)
  if not status then
    return ""
  end
  check_cluster(status, given)
  local nodes <const> = ask("node", vios.node.list, given)
  local lpars <const> = ask("lpar", vios.lpar.list, given)
  check_nodes(nodes or {})
  check_lpars(lpars or {})
  check_paging(ask("paging", vios.paging.list, given) or {})
  check_pools(ask("pool", vios.pool.list, given) or {}, given)
  check_jobs(given)
  check_alerts(ask("alert", vios.alert.list, given) or {})
  return overview(status, nodes, lpars)
end

-- The worst first, in the order in which they were found.
local function by_weight()
  local sorted <const> = vios.json.array({})
  for _, level in ipairs({ CRITICAL, UNKNOWN, WARNING }) do
    for _, finding in ipairs(t.where(findings, { level = level })) do
      sorted[#sorted + 1] = finding
    end
  end
  return sorted
end

local function tell(level, summary, details, given)
  if given.json then
    vios.printer.print({ columns = { "state", "status", "summary", "findings" } },
      { state = NAMES[level], status = level, summary = summary,
        findings = t.select(details, "state", "check", "object", "text") }, given)
    return
  end
  print(NAMES[level] .. ": " .. summary)
  for _, finding in ipairs(#details > 1 and details or {}) do
    print(finding.state .. ": " .. finding.text)
  end
end

local function main(given)
  local summary = look(given)
  local level = OK
  for _, finding in ipairs(findings) do
    level = WEIGHT[finding.level] > WEIGHT[level] and finding.level or level
  end
  local details <const> = by_weight()
  if #details > 0 then
    summary = details[1].text .. (#details > 1 and (" (and %d more)"):format(#details - 1) or "")
  end
  tell(level, summary, details, given)
  return level
end

local good, result = pcall(vios.arguments, DESCRIPTION)
if good then
  good, result = pcall(main, result)
end
if not good then
  print(NAMES[UNKNOWN] .. ": " .. tostring(result))
end
os.exit(good and result or UNKNOWN)
