-- detached.lua - the job that was waited for when Ctrl-C ended the waiting: it goes on, and a
-- second Ctrl-C, within the same wait or soon after, cancels it. shell/cli.c knows when there was
-- one.

local vios <const> = require("vios")
local connection <const> = require("vios.connection")

local detached = {}

local AGAIN_MS <const> = 2000
local CALL_TIMEOUT <const> = "5s"

local last = nil -- { job, route, at }

-- `err` is what ended the waiting, of the call that was made last.
function detached.note(err)
  last = { job = err.job, route = connection.used, at = vios.os.now_ms() }
end

-- Whether a second Ctrl-C is for a job.
function detached.is_recent()
  return last ~= nil and vios.os.now_ms() - last.at <= AGAIN_MS
end

-- Cancels that job, and says so; does nothing when there is none.
function detached.cancel()
  local it <const> = detached.is_recent() and last
  last = nil
  if not it then
    return
  end
  local done, err = require("vios.execute").call("job.cancel", { job = it.job },
    { route = it.route, timeout = CALL_TIMEOUT })
  if not done then
    require("vios.cli").report(err)
    return
  end
  io.stderr:write(vios.term.escape(("vios: job %s is being undone: vios job wait %s")
    :format(it.job, it.job)), "\n")
end

return detached
