-- primary.lua - the commands of noun "primary": the node that the others elected.

local function mark(passes)
  return passes and "pass" or "FAIL"
end

-- What a person wants to know who asks why this node is, or is not, the primary.
local function tell(result)
  local lines = {
    ("node %s sees primary %s, epoch %d; its election is in state %s%s"):format(result.node,
      result.primary ~= "" and result.primary or "none", result.epoch, result.election,
      result.reason ~= "" and ", since " .. result.reason or ""),
    result.able and "it meets the requirements:" or "it cannot be primary:",
  }
  for _, requirement in ipairs(result.requirements) do
    lines[#lines + 1] = ("  %-4s  %-12s %s (limit: %s)"):format(mark(requirement.passes),
      requirement.name, requirement.value, requirement.limit)
  end
  for _, other in ipairs(result.declined) do
    lines[#lines + 1] = ("declined: %s: %s"):format(other.node, other.reason)
  end
  if result.lock then
    lines[#lines + 1] = ("the lock is held by %s, for epoch %d, since %d ms"):format(
      result.lock.node, result.lock.epoch, result.lock.age_ms)
  end
  if result.timer_ms then
    lines[#lines + 1] = ("the election timer has %d ms left"):format(result.timer_ms)
  end
  for _, election in ipairs(result.history) do
    lines[#lines + 1] = ("epoch %d: %s, %s: %s"):format(election.epoch, election.node,
      election.since, election.reason)
  end
  return table.concat(lines, "\n")
end

return {
  noun = "primary",
  summary = "the primary node, which the cluster elects by itself",
  rows = {
    {
      verb = "show",
      summary = "show which node is primary, and its epoch",
      columns = { "node", "epoch", "state", "since" },
      examples = { "primary show", "primary show --json" },
    },
    {
      verb = "explain",
      summary = "show each requirement on a primary, who declined, the lock and the elections",
      text = tell,
      examples = { "primary explain", "primary explain --json" },
    },
    {
      verb = "resign",
      summary = "hand the role to another node",
      options = {
        { name = "to", value = "NODE", words = "to this node, if it is able", complete = "node" },
      },
      text = function(result)
        return ("primary is %s, epoch %d"):format(result.node, result.epoch)
      end,
      examples = { "primary resign", "primary resign --to n2" },
    },
    {
      verb = "history",
      summary = "list the last elections, and why they were held",
      columns = { "epoch", "node", "since", "took_ms", "reason" },
      examples = { "primary history" },
    },
  },
}
