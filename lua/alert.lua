-- alert.lua - the commands of noun "alert": thresholds that tell what is running out, slow or
-- failing.

-- As core/alert/metric.c has them; which of them there are is the daemon's to say.
local METRICS <const> = { "pool-free", "page-memory-free", "paging-errors", "paging-p99",
  "keepalive-misses", "commit-time", "election-time" }

local function value(number, unit)
  return (string.format("%.3f", number):gsub("%.?0+$", "")) .. unit
end

local function told(result)
  local less <const> = result.worse == "less"
  return ("alert %s is set: raised when %s%s is %s %s, cleared at %s or %s"):format(result.name,
    result.metric, result.object ~= "" and " of " .. result.object or "",
    less and "below" or "above", value(result.limit, result.unit),
    value(result.clear, result.unit), less and "more" or "less")
end

return {
  noun = "alert",
  summary = "thresholds: events that tell what is running out, slow or failing",
  rows = {
    {
      verb = "set",
      summary = "set a threshold, or set it anew; when it is crossed that is an event",
      arguments = {
        { name = "metric", words = "what is measured: " .. table.concat(METRICS, ", "),
          complete = METRICS },
        { name = "limit", words = "from where on it is raised: 10%, 20ms, 5/s, 3" },
      },
      options = {
        { name = "clear", value = "VALUE",
          words = "where it is over (a tenth of the limit away, on the good side)" },
        { name = "object", value = "NAME",
          words = "only of this pool, LPAR or node, as the metric has them (all)" },
        { name = "name", value = "NAME", words = "of the threshold (the metric)" },
      },
      columns = { "name", "metric", "object", "limit", "clear", "unit" },
      text = told,
      examples = { "alert set pool-free 10%", "alert set pool-free 20% --clear 25% --object p1 "
        .. "--name p1-low", "alert set paging-p99 5ms --object web1", "alert set commit-time 1s" },
    },
    {
      verb = "unset",
      summary = "forget a threshold; what is raised by it is over",
      arguments = { { name = "name", words = "the threshold's name", complete = "alert" } },
      text = function(_, parameters) return 'alert "' .. parameters.name .. '" is unset' end,
      examples = { "alert unset p1-low" },
    },
    {
      verb = "list",
      summary = "list the thresholds, and where each of them is crossed now",
      columns = { "name", "metric", "object", "limit", "clear", "unit", "state", "raised" },
      examples = { "alert list", "alert list --json" },
    },
  },
}
