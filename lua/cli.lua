-- cli.lua - runs what was typed: words, lines, expressions, scripts. Returns exit statuses.

local vios <const> = require("vios")
local errors <const> = vios.errors
local words <const> = require("vios.words")
local restricted <const> = require("vios.restricted")
-- What an expression does not need is loaded by those that do: `vios -e` starts fast.

local cli = {}

local TYPED <const> = "=vios" -- the name of a line that no file has

-- Options given before everything, as `vios --json --on n2`: they hold for each command.
cli.defaults = {}

-- Whether a pager may show what is long: not in a file of lines, and not within `watch`.
cli.may_page = true

-- Calls `work`, which prints, through a pager where that makes sense; returns what it returns.
function cli.paged(work)
  if cli.may_page and vios.term.is_tty(0) and vios.term.is_tty(1) then
    return require("vios.pager").through(work)
  end
  return work()
end
local running = nil -- the options of the command that runs, for what is raised within it

function cli.status(err)
  return errors.is(err) and errors.exit_status(err.code) or 1
end

local function show_error(err, globals, node)
  io.stdout:flush()
  require("vios.printer").error(err, globals or running or cli.defaults, node)
  running = nil
end

-- Of a job that Ctrl-C leaves: another Ctrl-C does not end the telling of that.
local function show_left(err, globals, node)
  vios.os.finally(function() end, function()
    show_error(err, globals, node)
    require("vios.detached").note(err)
  end)
end

local function report(err, globals, node)
  if errors.is(err) and err.code == "cancelled" and err.job then
    show_left(err, globals, node)
  else
    show_error(err, globals, node)
  end
  return cli.status(err)
end

cli.report = report

-- Reports what ended a command; a word that is at fault is shown in its line. `number`: which it
-- is, if not the one that has the value of the error's item.
local function report_at(err, globals, parse, number)
  local status <const> = report(err, globals)
  local numbers <const> = errors.is(err) and err.item and parse.where[err.item]
  number = number or numbers and (numbers[err.nth or 1] or numbers[1])
  if number then
    require("vios.caret").show(parse.words, number, parse.typed, globals)
  end
  return status
end

cli.report_at = report_at

-- {lpar = "web1", timeout = "30s"} as Lua text, arguments first.
local function as_lua(row, parameters)
  local function literal(value)
    if type(value) == "table" then
      local parts = {}
      for _, element in ipairs(value) do
        parts[#parts + 1] = literal(element)
      end
      return "{" .. table.concat(parts, ", ") .. "}"
    elseif type(value) == "string" then
      return (string.format("%q", value):gsub("\\\n", "\\n"))
    end
    return tostring(value)
  end
  local parts, done = {}, {}
  local function add(name)
    if parameters[name] ~= nil and not done[name] then
      done[name] = true
      parts[#parts + 1] = name .. " = " .. literal(parameters[name])
    end
  end
  for _, list in ipairs({ row.arguments, row.options, { { name = "wait" } } }) do
    for _, item in ipairs(list) do
      add(item.name)
    end
  end
  return "vios." .. row.method .. "{" .. table.concat(parts, ", ") .. "}"
end

cli.as_lua = as_lua

-- What a row with a preview would do, for whoever is asked next: true, or nil, err.
local function preview(row, parameters, globals)
  local function note(text)
    io.stderr:write(vios.term.escape(text), "\n")
  end
  local options = setmetatable({ dry_run = true }, { __index = globals })
  local result, err = row.preview(parameters, { options = options, note = note })
  for line in (result and row.text(result, parameters) or ""):gmatch("[^\n]+") do
    note(line)
  end
  return result and true, err
end

-- What is asked before something is destroyed; nil when nothing is.
function cli.confirmation(row, parameters)
  return row.confirm and row.name .. " " .. row.confirm:gsub("{([%w_]+)}", function(name)
    local value = parameters[name]
    return type(value) == "table" and table.concat(value, ", ") or tostring(value or "?")
  end)
end

-- Asks before something is destroyed: true, or nil, err.
local function confirm(row, parameters, globals)
  if not row.confirm or globals.yes or globals.dry_run then
    return true
  end
  local what <const> = cli.confirmation(row, parameters)
  if not (vios.term.is_tty(0) and vios.term.is_tty(2)) then
    return nil, vios.error("usage", what, { hint = "say --yes to do it" })
  end
  if row.preview then
    local shown, err = preview(row, parameters, globals)
    if not shown then
      return nil, err
    end
  end
  local answer = vios.term.ask(vios.term.escape(what) .. ": go on? [y/N] ")
  if answer and answer:lower():match("^y") then
    return true
  end
  return nil, vios.error("cancelled", "not done")
end

local function merged(globals)
  return setmetatable(globals, { __index = cli.defaults })
end

-- What a running row tells: progress, notes, and items as they come.
local function callbacks_of(row, globals, bar)
  local first = true
  return {
    progress = bar and bar.show or nil,
    note = function(text)
      if not globals.quiet then
        if bar then
          bar.clear()
        end
        io.stderr:write(vios.term.escape(text), "\n")
      end
    end,
    item = row.stream and not row.collected and function(value)
      require("vios.printer").item(row, value, globals, first)
      first = false
    end or nil,
  }
end

-- Runs one row on one node and gives its result to `show`; true, or nil, err.
local function run_row(row, parameters, globals, show)
  local bar = require("vios.progress").new(globals)
  local result, err =
    require("vios.execute").run(row, parameters, globals, callbacks_of(row, globals, bar))
  if bar then
    bar.clear()
  end
  if result == nil then
    return nil, err
  end
  if row.console or (row.stream and not vios.json.is_array(result)) then
    return true -- what came was shown as it came
  end
  local shown, bad = show(result)
  bad = bad or (row.verdict and row.verdict(result))
  return not bad and shown or nil, bad
end

local function print_result(parse, globals)
  return function(result)
    if globals.quiet and parse.row.text then
      return true
    end
    return cli.paged(function()
      return require("vios.printer").print(parse.row, result, globals, parse.parameters)
    end)
  end
end

-- For --dry-run: whether it would work, where the row can say so, and the same as Lua.
local function rehearse(parse, globals)
  local row = parse.row
  local sent, err = require("vios.execute").parameters(row, parse.parameters)
  if not sent then
    return report_at(err, globals, parse)
  end
  print(as_lua(row, parse.parameters))
  local nodes
  nodes, err = require("vios.connection").targets(globals)
  if err then
    return report_at(err, globals, parse)
  end
  for _, node in ipairs(row.rehearse and (nodes or { false }) or {}) do
    local options <const> = setmetatable({ on = node or nil }, { __index = globals })
    local good
    good, err = require("vios.execute").rehearse(row, sent, options)
    if not good then
      return report_at(err, globals, parse)
    end
  end
  return 0
end

local function run_parsed(parse, globals)
  local row = parse.row
  if parse.shell and restricted.on() then
    return report(restricted.no_lua(), globals)
  elseif parse.shell then
    return require("vios.on").shell(parse.shell, globals, report)
  end
  if globals.help or not row then
    cli.paged(function()
      io.write(require("vios.help").text(parse.group and parse.group.noun, row and row.verb))
    end)
    return 0
  end
  local refusal <const> = restricted.refusal(row, parse.parameters, parse.globals)
  if refusal then
    return report(refusal, globals)
  end
  if parse.group.builtin then
    local status, err = row.run(parse.parameters, globals, cli)
    return status or report_at(err, globals, parse)
  end
  if globals.dry_run and not row.preview then
    return rehearse(parse, globals)
  end
  local ok, err = confirm(row, parse.parameters, globals)
  if not ok then
    return report_at(err, globals, parse)
  end
  local nodes
  nodes, err = require("vios.connection").targets(globals)
  if err then
    return report_at(err, globals, parse)
  elseif nodes and #nodes > 1 then
    return require("vios.on").run(nodes, parse, globals, report)
  elseif nodes then
    globals.on = nodes[1]
  end
  ok, err = run_row(row, parse.parameters, globals, print_result(parse, globals))
  return ok and 0 or report_at(err, globals, parse)
end

-- A command given as words; `typed`: the line they are from, as words.split() tells of it.
function cli.command(list, typed)
  local parse, err, partial = require("vios.parser").parse(list)
  if not parse then
    local globals <const> = merged(partial.globals)
    for _, word in ipairs(list) do
      globals.json = globals.json or word == "--json"
    end
    partial.typed = not partial.expanded and typed or nil
    return report_at(err, globals, partial, partial.fault)
  end
  parse.typed = not parse.expanded and typed or nil
  running = merged(parse.globals)
  local status <const> = run_parsed(parse, running)
  running = nil
  return status
end

-- True when the line is a command: a known noun or an alias first, and none of . ( [ = : behind it
-- at once.
function cli.is_command(text)
  local word, behind = text:match("^%s*([%a][%w-]*)(.?)")
  if not word or behind:match("[.%(%[=:]") then
    return false
  end
  return (behind == "" or behind:match("%s") ~= nil)
    and (require("vios.commands").noun(word) or require("vios.aliases").line(word)) ~= nil
end

local function print_values(count, first, second)
  if first == nil and count >= 2 and errors.is(second) then
    return report(second)
  end
  if count == 0 or first == nil then
    return 0
  end
  local meta = type(first) == "table" and getmetatable(first)
  if type(first) == "table" and not (meta and meta.__tostring) then
    local ok, err = cli.paged(function()
      return require("vios.printer").print(nil, first, cli.defaults)
    end)
    return ok and 0 or report(err)
  end
  local behind <const> = type(first) == "function" and ": call it with () behind it" or ""
  print(vios.term.escape(tostring(first)) .. behind)
  return 0
end

-- Runs a compiled chunk and prints what it returns.
local function run_chunk(chunk, ...)
  local results = table.pack(pcall(chunk, ...))
  if not results[1] then
    return report(results[2])
  end
  local ok, status = pcall(print_values, results.n - 1, results[2], results[3])
  return ok and status or report(status)
end

-- An expression or statements: the chunk, or nil, message, and whether more lines may help.
local function compile(text, name)
  local chunk = load("return " .. text, name, "t")
  if chunk then
    return chunk
  end
  local message
  chunk, message = load(text, name, "t")
  return chunk, message, message and message:match("<eof>$") ~= nil
end

-- False when more lines are needed to make a command or a chunk.
function cli.is_complete(text)
  if text:match("^%s*$") or text:match("^%s*#") then
    return true
  elseif cli.is_command(text) then
    local _, info = words.split(text)
    return not (info and info.open)
  end
  if restricted.on() then
    return true
  end
  local chunk, _, more = compile(text, TYPED)
  return chunk ~= nil or not more
end

-- Options before the mode: how many words they are, and a status when they are wrong.
function cli.leading(list)
  local options, at = require("vios.parser").leading(list)
  if not options then
    return 0, report(at)
  end
  cli.defaults = options
  require("vios.connection").defaults = options -- what Lua calls takes them from there
  return at - 1, 0
end

function cli.is_json()
  return cli.defaults.json == true
end

local KEYWORDS <const> = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
    return then true until while]]):gmatch("%a+") do
  KEYWORDS[word] = true
end

-- A line that is neither a command nor Lua, but looks like a command that was mistyped: its first
-- word, and the one behind it. `compiles`: as `web` and `ls -l` do, with variables that nobody set.
local function mistyped(text, compiles)
  local word, behind
  if compiles then
    word = text:match("^%s*(%a[%w-]*)%s*$") or text:match("^%s*(%a[%w-]*)%s+[-/.~]")
  else
    word, behind = text:match("^%s*(%a[%w-]*)%s+(%-*%w+)")
  end
  if word and not KEYWORDS[word] and rawget(_G, word) == nil then
    return word, behind
  end
end

-- What is typed at the operating system's prompt or in other shells means the same here.
local function usual(text)
  if text:match("^%s*%?%s*$") or text:match("^%s*%-%-?h[elp]*%s*$") then
    return "help" -- and not a comment of Lua
  end
  local rest = text:match("^%s*vios%s+(%a.*)$") or text:match("^%s*/usr/ios/cli/(ioscli%s.*)$")
  return rest and cli.is_command(rest) and rest or text
end

-- An error for an option in front of a command: to Lua it is a comment, and nothing would be said.
local function misplaced_option(text)
  local name <const> = text:match("^%s*%-%-(%a[%w-]*)")
  local _, known = require("vios.parser").options()
  return name and known[name:gsub("-", "_")] and vios.error("usage",
    '"--' .. name .. '" begins no line', { hint = "options stand behind the command" })
end

-- One line (or several, of one chunk): a status, or "more" when it is not complete yet; then
-- `last` says that no more will come.
function cli.line(text, name, last)
  if text:match("^%s*$") or text:match("^%s*#") then
    return 0
  end
  text = usual(text)
  cli.may_page = name == TYPED
  if cli.is_command(text) then
    local list, info = words.split(text)
    if not list then
      return report(info)
    end
    if info.open then
      return last and report(vios.error("usage", "the line ends within quotes")) or "more"
    end
    info.text = text
    local ok, status = pcall(cli.command, list, info)
    return ok and status or report(status)
  end
  local err = name == TYPED and misplaced_option(text) or restricted.no_lua()
  if err then
    return report(err)
  end
  local chunk, message, more = compile(text, name)
  local word, behind = mistyped(text, chunk ~= nil)
  if word then
    return report(select(2, require("vios.meant").noun(word, behind)))
  elseif chunk then
    return run_chunk(chunk)
  elseif more and not last then
    return "more"
  end
  local what <const> = message:match("^vios:1: (.*)$") -- typed, in one line
  return report(what and what .. ': no command begins like this, so it was read as Lua: see "help"'
    or message)
end

-- -e CODE
function cli.expression(code)
  local chunk, message = compile(code, "=-e")
  if not chunk and cli.is_command(code) then
    message = vios.error("usage", "this is a command, and not Lua", { hint = "use: vios " .. code })
  end
  return chunk and run_chunk(chunk) or report(message)
end

-- Whether that line of the file is a command.
local function is_command_in(path, number)
  for text in io.lines(path) do
    number = number - 1
    if number == 0 then
      return cli.is_command(text)
    end
  end
  return false
end

-- FILE.lua with the words behind it in `arg`
function cli.script(path, arguments)
  rawset(_G, "arg", arguments)
  local chunk, message = loadfile(path, "t")
  if not chunk then
    local number <const> = math.tointeger(message:match(":(%d+): syntax error near"))
    local is_command <const> = number and is_command_in(path, number)
    return report(message .. (is_command and ": for commands, use: vios source " .. path or ""))
  end
  local results = table.pack(pcall(chunk, table.unpack(arguments)))
  if not results[1] then
    return report(results[2])
  elseif results[2] == nil and errors.is(results[3]) then
    return report(results[3])
  end
  return 0
end

-- Lines of a file: the first that fails ends it, and says where.
function cli.lines(file, name)
  local number, pending, began = 0, nil, 0
  local status = 0
  for text in file:lines() do
    number = number + 1
    if not pending then
      began = number
    end
    -- blank lines before a Lua chunk keep its line numbers those of the file
    local whole = pending and pending .. "\n" .. text or text
    local padded = cli.is_command(whole) and whole or string.rep("\n", began - 1) .. whole
    status = cli.line(padded, "@" .. name)
    pending = status == "more" and whole or nil
    if (status ~= "more" and status ~= 0) or require("vios.shell").quitting() then
      break
    end
  end
  if pending then
    status = cli.line(string.rep("\n", began - 1) .. pending, "@" .. name, true)
  end
  if status ~= 0 then
    io.stdout:flush()
    io.stderr:write("vios: ", name, ":", began, ": stopped here\n")
  end
  return status
end

return cli
