-- builtins.lua - the words that are the shell's own: help, explain, history, watch, top, metrics,
-- source, on, quit, and the hidden self-test, rpc and complete. Their `run` gets (parameters,
-- globals, cli) and returns an exit status, or nil and an error.

local vios <const> = require("vios")

local builtins = {}

local function usage(message, hint)
  return nil, vios.error("usage", message, { hint = hint })
end

local function row(noun, fields)
  builtins[noun] = { noun = noun, summary = fields.summary, builtin = true, rows = { fields } }
end

local function help_words(seen, _, words)
  if seen.positional == 0 then
    return require("vios.commands").nouns()
  end
  return seen.positional == 1 and require("vios.functions").verbs(words[#words]) or {}
end

row("help", {
  summary = "what there is, and how it is used",
  restricted = true,
  arguments = {
    { name = "noun", optional = true, words = "a noun" },
    { name = "verb", optional = true, words = "its verb" },
  },
  complete_rest = help_words,
  examples = { "help", "help node", "help node list" },
  run = function(parameters, _, cli)
    local commands <const> = require("vios.commands")
    local noun, verb = parameters.noun, parameters.verb
    local alias <const> = require("vios.aliases").line(noun)
    if alias then
      print(noun .. ": alias of: " .. vios.term.escape(alias))
      return 0
    elseif noun and not commands.noun(noun) then
      return require("vios.meant").noun(noun, verb)
    elseif verb and not commands.row(noun, verb) then
      return require("vios.meant").verb(commands.noun(noun), verb)
    end
    cli.paged(function() io.write(require("vios.help").text(noun, verb)) end)
    return 0
  end,
})

row("explain", {
  restricted = true,
  summary = "what a command would do, and what each word is taken for",
  form = "explain NOUN VERB ...",
  raw = true,
  arguments = { { name = "command", many = true, words = "NOUN VERB ..." } },
  complete_rest = function(_, prefix, words)
    return require("vios.completion").words({ table.unpack(words, 2) }, prefix)
  end,
  examples = { "explain lpar start web1 --node any", "explain --json lpar remove web1" },
  run = function(parameters, globals, cli)
    return require("vios.explain").run(parameters.command, globals, cli)
  end,
})

-- The numbers of the lines that have `text`; of all when it is nil.
local function lines_with(lines, text)
  local found <const> = {}
  for number, line in ipairs(lines) do
    if not text or line:lower():find(text:lower(), 1, true) then
      found[#found + 1] = number
    end
  end
  return found
end

-- The last `count` of those numbers.
local function write_history(lines, found, count)
  for at = math.max(1, #found - count + 1), #found do
    local text = vios.term.escape((lines[found[at]]:gsub("\n", "\0")))
    io.write(string.format("%5d  %s\n", found[at], (text:gsub("\\x00", "\n       "))))
  end
end

row("history", {
  summary = "the lines typed before",
  arguments = { { name = "count", optional = true, words = "only the last so many" } },
  options = {
    { name = "search", value = "TEXT", words = "only those that have this, in capitals or not" },
  },
  examples = { "history 20", "history --search web1", "history 5 --search 'lpar migrate'" },
  run = function(parameters, _, cli)
    local count = parameters.count and math.tointeger(tonumber(parameters.count))
    if parameters.count and (not count or count < 0) then
      return usage('"' .. parameters.count .. '" is not a count',
        "use: history [COUNT] [--search TEXT]")
    end
    local lines, err = require("vios.shell").history()
    if not lines then
      return nil, err
    end
    local found <const> = lines_with(lines, parameters.search)
    cli.paged(function() write_history(lines, found, count or #found) end)
    return 0
  end,
})

local function watch_once(cli, words, seconds)
  if vios.term.is_tty(1) then
    io.write("\27[H\27[2J", "every ", seconds, " s: ", table.concat(words, " "), "\n\n")
  end
  local status = cli.command(words)
  io.flush()
  return status
end

local function inner_words(_, prefix, words)
  local rest = { table.unpack(words, 2) }
  if tonumber(rest[1]) then
    table.remove(rest, 1)
  end
  return require("vios.completion").words(rest, prefix)
end

row("watch", {
  summary = "run a command again and again, until Ctrl-C",
  restricted = true,
  form = "watch [SECONDS] NOUN VERB ...",
  raw = true,
  arguments = { { name = "command", many = true, words = "[SECONDS] NOUN VERB ..." } },
  complete_rest = inner_words,
  examples = { "watch node list", "watch 0.5 paging show web1" },
  run = function(parameters, _, cli)
    local words = parameters.command
    local seconds = tonumber(words[1])
    if seconds then
      words = { table.unpack(words, 2) }
    end
    seconds = seconds or 2
    cli.may_page = false
    if #words == 0 or seconds < 0.1 or seconds > 86400 then
      return usage("needs a command, and 0.1 to 86400 seconds",
        "use: watch [SECONDS] NOUN VERB ...")
    end
    while true do
      local status = watch_once(cli, words, seconds)
      if status == 2 or status == 130 then
        return status
      end
      local ok, err = vios.os.sleep(seconds)
      if not ok then
        return cli.status(err)
      end
    end
  end,
})

local top_row <const> = {
  restricted = true,
  summary = "show the cluster live on the whole screen, until q",
  options = {
    { name = "interval", value = "TIME", type = "duration", words = "look so often (2s)" },
    { name = "once", words = "print it once, as where the output is no terminal" },
  },
  examples = { "top", "top --interval 5s", "top --once --json" },
}

function top_row.run(parameters, globals)
  return require("vios.top").run(top_row, parameters, globals)
end

row("top", top_row)

row("metrics", {
  restricted = true,
  summary = "print the cluster in numbers, as OpenMetrics text",
  options = {
    { name = "file", value = "FILE", complete = "file", local_file = true,
      words = "into this file, all at once, and not to the terminal" },
  },
  examples = { "metrics", "metrics --file /var/lib/prometheus/node-exporter/vios.prom" },
  run = function(parameters, globals)
    return require("vios.metrics").run(parameters, globals)
  end,
})

row("source", {
  summary = "run the lines of a file",
  arguments = { { name = "file", words = "commands and Lua, as typed", complete = "file",
    local_file = true } },
  examples = { "source setup.vios" },
  run = function(parameters, _, cli)
    local file, why = io.open(parameters.file, "r")
    if not file then
      return nil, vios.error("not_found", why)
    end
    local ok, status = pcall(cli.lines, file, parameters.file)
    file:close()
    if not ok then
      error(status, 0)
    end
    return status
  end,
})

row("on", {
  summary = "run a command on other nodes, on all of them at once",
  form = "on NODES NOUN VERB ... | !COMMAND ...",
  restricted = true,
  raw = true,
  arguments = {
    { name = "nodes", words = "n1,n[3-5], !n4, @all, ssh:HOST" },
    { name = "command", many = true, words = "NOUN VERB ..., or !COMMAND of the shell there" },
  },
  examples = { "on n2 node list", "on @all config list", "on n[1-3] !uptime" },
  run = function() -- the parser takes `on NODES` before it looks for a noun
    return usage("on needs nodes and a command", "use: on n1,n2 NOUN VERB ...")
  end,
})

row("quit", {
  summary = "leave the shell",
  restricted = true,
  examples = { "quit" },
  run = function()
    require("vios.shell").quit()
    return 0
  end,
})

row("self-test", {
  summary = "check the commands against themselves and the daemon",
  run = function(_, globals)
    return require("vios.self_test").run(globals)
  end,
})

row("rpc", {
  summary = "a pipe to the daemon, for the vios of another machine",
  run = function(_, globals)
    local path, err = require("vios.connection").socket(globals)
    return path and require("vios.shell").rpc_pipe(path), err
  end,
})

row("complete", {
  summary = "print what may come next, for a shell's completion",
  raw = true,
  arguments = { { name = "words", many = true, optional = true, words = "so far, the last open" } },
  run = function(parameters)
    local words = parameters.words or { "" }
    if words[1] == "--" then
      table.remove(words, 1)
    end
    local prefix = table.remove(words) or ""
    for _, name in ipairs(require("vios.completion").words(words, prefix)) do
      io.write(vios.term.escape(name), "\n")
    end
    return 0
  end,
})

return builtins
