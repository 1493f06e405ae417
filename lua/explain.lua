-- explain.lua - what a command line means, without doing it: from its row, and from the daemon's
-- method table when one answers.

local vios <const> = require("vios")
local parser <const> = require("vios.parser")

local explain = {}

local ASK_TIMEOUT <const> = "1s"

-- How it is shown, as the rows of commands say it.
local ROW <const> = {
  columns = { "command", "does", "words", "not_given", "calls", "node", "role", "your_role",
    "changes", "asks", "job", "lua", "exits" },
  nested = {
    words = { "word", "is", "meaning" },
    not_given = { "option", "meaning" },
    exits = { "status", "meaning" },
  },
}

-- What each word was taken for.
local function words_of(parse)
  local list <const> = vios.json.array({})
  for number, word in ipairs(parse.words) do
    local took <const> = parse.took[number]
      or { as = word == "--" and "end of the options" or "not looked at" }
    local item <const> = took.item
    local is, meaning = took.as, item and item.words or ""
    if took.as == "noun" then
      meaning = parse.group.summary
    elseif took.as == "verb" then
      meaning = parse.row.summary
    elseif took.as == "object" then
      is = item.name:upper()
    elseif took.as == "value" then
      is, meaning = "value of " .. parser.dashed(item.name), item.value
    elseif took.as == "on" then
      meaning = "not on the node that is asked, but"
    elseif took.as == "nodes" then
      meaning = "on these nodes"
    end
    list[#list + 1] = { word = word, is = is, meaning = meaning }
  end
  return list
end

-- The command's own options and objects that were left out; their words tell the defaults.
local function not_given(parse)
  local list <const> = vios.json.array({})
  for _, argument in ipairs(parse.row.arguments) do
    if parse.parameters[argument.name] == nil then
      list[#list + 1] = { option = argument.name:upper(), meaning = argument.words }
    end
  end
  for _, option in ipairs(parser.own_options(parse.row)) do
    local name <const> = option.name == "no_wait" and "wait" or option.name
    if parse.parameters[name] == nil then
      list[#list + 1] = { option = parser.both(option), meaning = option.words }
    end
  end
  return list
end

-- The daemon's row of the method, and what it said in hello, our role and its node; nil: it has no
-- such method, or none answers.
local function ask(row, globals)
  local client <const> = not row.run and require("vios.connection").get(globals)
  if not client then
    return nil, {}
  end
  local options <const> = setmetatable({ timeout = ASK_TIMEOUT }, { __index = globals })
  local methods <const> = require("vios.execute").call("rpc.describe", {}, options) or {}
  for _, method in ipairs(methods) do
    if method.name == row.method then
      return method, client:hello()
    end
  end
  return nil, client:hello()
end

local function exits_of(parse, method)
  local row <const> = parse.row
  local list <const> = vios.json.array({})
  local function add(possible, status, meaning)
    if possible then
      list[#list + 1] = { status = status, meaning = meaning }
    end
  end
  local asks_daemon <const> = not row.run and not parse.group.builtin
  local on <const> = parse.globals.on
  add(true, 0, "done")
  add(true, 1, "failed")
  add(true, 2, "wrong usage")
  add(on and (on == "@all" or on:match(",")), 3, "failed on some of the nodes")
  add(asks_daemon, 4, "no daemon answers, or there is no quorum")
  add(asks_daemon, 5, "timed out")
  add(asks_daemon and (not method or method.changes), 6, "refused by a lock")
  add(row.rehearse or row.verdict, 7, "refused by a check, nothing was changed")
  add(true, 130, "left by Ctrl-C" .. (row.job and "; the job goes on" or ""))
  return list
end

-- What calls it, in words; for JSON the method is beside it.
local function calls_of(parse)
  if parse.group.builtin then
    return "nothing: it is the shell's own word"
  elseif parse.row.run then
    return "nothing by itself: the shell does the work, and asks the daemon for what it needs"
  end
  return "the method " .. parse.row.method .. " of the daemon"
end

-- The meaning of a parsed command as a table; nil, err when a value is none of its type.
local function meaning_of(parse, globals, cli)
  local row <const> = parse.row
  local sent, err = require("vios.execute").parameters(row, parse.parameters)
  if not sent then
    return nil, err
  end
  local method, hello = nil, {}
  if not parse.group.builtin then
    method, hello = ask(row, globals)
  end
  local asks <const> = cli.confirmation(row, parse.parameters)
  return {
    command = row.name,
    does = row.summary,
    words = words_of(parse),
    not_given = not_given(parse),
    calls = calls_of(parse),
    method = not row.run and not parse.group.builtin and row.method or nil,
    parameters = next(sent) and sent or nil,
    node = parse.globals.on or hello.node,
    role = method and method.role,
    your_role = hello.role,
    changes = method and method.changes,
    asks = asks and asks .. (parse.globals.yes and " (not asked: --yes)" or "") or "nothing",
    job = row.job and (parse.parameters.wait == false and "yes, and is not waited for"
      or "yes, and is waited for") or "no",
    lua = not parse.group.builtin and cli.as_lua(row, parse.parameters) or nil,
    exits = exits_of(parse, method),
  }
end

-- The command `explain` of these words; an exit status.
function explain.run(words, globals, cli)
  local parse, err, partial = parser.parse(words)
  local shown
  if parse and parse.row then
    globals = setmetatable({ json = parse.globals.json }, { __index = globals })
    shown, err = meaning_of(parse, globals, cli)
  elseif parse then
    err = vios.error("usage", "it needs a command", { hint = "use: explain NOUN VERB ..." })
  end
  if shown then
    shown, err = require("vios.printer").print(ROW, shown, globals)
  end
  return shown and 0 or cli.report_at(err, globals, parse or partial, partial and partial.fault)
end

return explain
