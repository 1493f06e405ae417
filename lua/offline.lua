-- offline.lua - what `db restore`, `db check` and the readers of `ffdc` do when no daemon answers:
-- the daemon's program does the work and says lines of JSON (core/restore/restore.h,
-- core/ffdc/offline.h); here they become notes, items, a result and an error.

local vios <const> = require("vios")
local system <const> = require("vios.os")
local connection <const> = require("vios.connection")

local offline = {}

local POLL_SECONDS <const> = 0.05

-- The node's file: as given, or the one of the lab's node whose socket would be used, or none: then
-- the daemon takes its own default.
local function configuration(parameters, options)
  if parameters.config then
    return { "--config", parameters.config }
  end
  local socket, err = connection.socket(options)
  if not socket then
    return err.code == "unreachable" and {} or nil, err
  end
  local home <const> = socket:match("^(.*)/run/vios%.sock$")
  local path <const> = (home or "") .. "/vios.conf"
  return home and system.kind(path) == "file" and { "--config", path } or {}
end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or system.real_path(".") .. "/" .. path
end

-- "sqlite:vios.db" means a file here, whoever reads it.
local function whole_address(address)
  local path <const> = address:match("^sqlite:(.*)$")
  return path and "sqlite:" .. absolute(path) or address
end

-- Hands the lines of `path` behind `from` that are whole to `each`; where the next one begins.
local function new_lines(path, from, each)
  local text <const> = system.read_file(path) or ""
  for line in text:sub(from):gmatch("([^\n]*)\n") do
    each(vios.json.decode(line))
    from = from + #line + 1
  end
  return from
end

local function failed(words_said, status)
  local text <const> = (words_said or ""):gsub("%s+$", "")
  return vios.error(status == 2 and "usage" or "system",
    text ~= "" and text or "the daemon's program ended with status " .. tostring(status))
end

-- Runs it, with `said` called for each line; its exit status, or nil, err.
local function run_program(words, output, errors, said)
  words.stdout, words.stderr = output, errors
  local pid, err = system.spawn(words)
  if not pid then
    return nil, err
  end
  local at = 1
  local status
  repeat
    status, err = system.wait(pid, POLL_SECONDS)
    if not status and err.code ~= "timeout" then
      system.kill(pid, "TERM")
      system.wait(pid)
      return nil, err
    end
    at = new_lines(output, at, said)
  until status
  new_lines(output, at, said)
  return status
end

-- `words` behind the program and its configuration. The result, or nil, err. Items, if there are
-- any, go to `item`.
function offline.run(words, parameters, options, note, item)
  if require("vios.restricted").on() then
    return nil, vios.error("unreachable", "no daemon answers")
  end
  local list, err = configuration(parameters, options)
  if not list then
    return nil, err
  end
  table.insert(list, 1, system.program("daemon"))
  table.move(words, 1, #words, #list + 1, list)
  local output <const>, errors <const> = os.tmpname(), os.tmpname()
  local result, failure
  system.finally(function()
    local status, why = run_program(list, output, errors, function(line)
      if line.say == "progress" then
        note(line.text)
      elseif line.say == "item" then
        item(line.item)
      elseif line.say == "report" then
        note(offline.report_text(line))
      elseif line.say == "error" then
        failure = vios.error(line.error.code, line.error.message,
          { object = line.error.object, hint = line.error.hint })
      else
        result = line
      end
    end)
    if not result then
      failure = failure or why or failed(system.read_file(errors), status)
    end
  end, function()
    os.remove(output)
    os.remove(errors)
  end)
  if not result then
    return nil, failure
  end
  result.say = nil
  return result
end

-- --- db check ---

function offline.check(parameters, options, note)
  local what <const> = parameters.what or ""
  local is_address <const> = what == "" or what:match("^etcd:") or what:match("^sqlite:")
  local address <const> = is_address and whole_address(what) or absolute(what)
  return offline.run({ "--check", address }, parameters, options, note)
end

-- --- db restore ---

function offline.restore(parameters, options, note)
  local words = { "--restore", absolute(parameters.file) }
  if parameters.to then
    table.move({ "--to", whole_address(parameters.to) }, 1, 2, #words + 1, words)
  end
  if options.dry_run then
    words[#words + 1] = "--dry-run"
  end
  return offline.run(words, parameters, options, note)
end

local WHATS <const> = {
  lost = "is lost, for the backup does not have it",
  older = "goes back to what the backup has",
  returns = "comes back, though it was removed",
}

local function loss_lines(report)
  local lines = {}
  for _, loss in ipairs(report.losses) do
    local names = table.concat(loss.names, ", ")
    if #loss.names < loss.count then
      names = names .. ", ..."
    end
    lines[#lines + 1] = ("%d %s %s: %s"):format(loss.count, loss.kind, WHATS[loss.what] or "?",
      names)
  end
  if #report.losses == 0 then
    lines[1] = report.now.state == "OK" and "nothing is lost: the backup has all that is there"
      or "what is lost cannot be told: all that was changed since the backup"
  end
  return lines
end

-- For a person: what it means to restore.
function offline.report_text(report)
  local now <const> = report.now
  local lines = {
    ("backup: %s, of cluster %s, revision %d, written %s"):format(report.file,
      report.backup.cluster, report.backup.revision, report.backup.time),
    ("now:    %s, %s%s"):format(now.address, now.state,
      now.state == "OK" and ", revision " .. now.revision
      or now.why ~= "" and " (" .. now.why .. ")" or ""),
  }
  table.move(loss_lines(report), 1, #report.losses + 1, #lines + 1, lines)
  lines[#lines + 1] = "every node (" .. table.concat(report.nodes, ", ") ..
    ") is fenced: it kills the guests it still has before it rejoins"
  lines[#lines + 1] = "nobody owns a guest any more; to be started again: " ..
    (#report.start > 0 and table.concat(report.start, ", ") or "none")
  if #report.hibernations > 0 then
    lines[#lines + 1] = "hibernations become invalid, their memory is lost: " ..
      table.concat(report.hibernations, ", ")
  end
  if #report.jobs > 0 then
    lines[#lines + 1] = "jobs that had not ended have failed: " .. table.concat(report.jobs, ", ")
  end
  return table.concat(lines, "\n")
end

local function next_lines(result, parameters)
  local lines = {}
  local function add(format, ...)
    lines[#lines + 1] = ("%d. "):format(#lines + 1) .. format:format(...)
  end
  if parameters.to then
    add("on each node: set \"store = %s\" in its configuration", result.to)
  end
  add("start the daemons of %s, and see that they are up: vios node list",
    table.concat(result.nodes, ", "))
  for _, lpar in ipairs(result.start) do
    add("vios lpar start %s", lpar)
  end
  return lines
end

-- What `db restore` printed, and for --dry-run what it would do.
function offline.restore_text(result, parameters)
  if not result.restores then
    return offline.report_text(result)
  end
  local lines = { ("%s is restored: restore %d of this cluster, epoch %d"):format(result.to,
    result.restores, result.epoch) }
  for _, kept in ipairs({ result.aside, result.retired }) do
    if kept ~= "" then
      lines[#lines + 1] = "kept: " .. kept
    end
  end
  lines[#lines + 1] = "Next:"
  local next <const> = next_lines(result, parameters)
  table.move(next, 1, #next, #lines + 1, lines)
  return table.concat(lines, "\n")
end

return offline
