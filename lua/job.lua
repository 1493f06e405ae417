-- job.lua - the commands of noun "job": work of several steps, and how far it is.

local JOB <const> = { name = "job", words = "its id", complete = "job" }
local COLUMNS <const> = { "id", "kind", "object", "state", "progress", "node" }

return {
  noun = "job",
  summary = "work of several steps",
  rows = {
    {
      verb = "list",
      summary = "list the jobs",
      columns = COLUMNS,
      examples = { "job list", "job list --json" },
    },
    {
      verb = "show",
      summary = "show one job",
      arguments = { JOB },
      columns = COLUMNS,
      examples = { "job show j-18" },
    },
    {
      verb = "wait",
      summary = "wait until a job is done",
      arguments = { JOB },
      columns = COLUMNS,
      examples = { "job wait j-18 --timeout 60s" },
    },
    {
      verb = "cancel",
      summary = "ask a job to undo what it did",
      arguments = { JOB },
      text = function(_, parameters) return 'job "' .. parameters.job .. '" is being undone' end,
      examples = { "job cancel j-18" },
    },
  },
}
