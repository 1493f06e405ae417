-- help.lua - what `help`, `help NOUN` and `help NOUN VERB` print, from the rows.

local commands <const> = require("vios.commands")
local parser <const> = require("vios.parser")
local aliases <const> = require("vios.aliases")
local term <const> = require("vios").term

local help = {}

local function column(lines, left, right)
  lines[#lines + 1] = "  " .. left .. string.rep(" ", math.max(2, 26 - term.text_width(left)))
    .. right
end

local function overview()
  local lines = { "Commands: [on NODES] NOUN VERB [OBJECT ...] [--option VALUE ...]", "" }
  for _, noun in ipairs(commands.nouns()) do
    column(lines, noun, commands.noun(noun).summary)
  end
  if #aliases.names() > 0 then
    lines[#lines + 1] = ""
    lines[#lines + 1] = "Aliases:"
  end
  for _, name in ipairs(aliases.names()) do
    column(lines, name, aliases.line(name))
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "PowerVM's commands, with its options and columns:"
  for _, name in ipairs(commands.powervm()) do
    column(lines, name, commands.noun(name).summary)
  end
  for _, noun in ipairs(commands.nouns()) do
    for _, row in ipairs(commands.dashed(commands.noun(noun))) do
      column(lines, row.name, row.summary)
    end
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "Options of all commands:"
  for _, option in ipairs(parser.GLOBALS) do
    column(lines, parser.both(option), option.words)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "Ways in, from the operating system:"
  column(lines, "vios", "the shell; lines from stdin when that is no terminal")
  column(lines, "vios NOUN VERB ...", "one command; -c 'LINE' is one line as in the shell")
  column(lines, "vios -e 'LUA'", "a piece of Lua; a script: vios FILE.lua ARGUMENT ...")
  column(lines, "vios daemon ...", "the daemon of a node; see vios daemon --help")
  lines[#lines + 1] = ""
  lines[#lines + 1] = 'Anything else is Lua: vios.node.list() returns a table.'
  lines[#lines + 1] = '"help NOUN" and "help NOUN VERB" tell more.'
  return lines
end

local function of_noun(group)
  local lines = { group.noun .. ": " .. group.summary, "" }
  for _, row in ipairs(group.rows) do
    column(lines, row.name, row.summary)
  end
  for _, row in ipairs(group.powervm and {} or commands.dashed(group)) do
    column(lines, row.name, row.summary)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "Examples:"
  for _, row in ipairs(group.rows) do
    lines[#lines + 1] = "  " .. row.examples[1]
  end
  return lines
end

local function of_row(row)
  local lines = { parser.form(row), "    " .. row.summary, "" }
  for _, argument in ipairs(row.arguments) do
    column(lines, argument.name:upper(), argument.words)
  end
  for _, option in ipairs(parser.own_options(row)) do
    column(lines, parser.both(option, row), option.words)
  end
  for _, example in ipairs(row.examples or {}) do
    lines[#lines + 1] = "  example: " .. example
  end
  return lines
end

-- The text for a row.
function help.row(row)
  return table.concat(of_row(row), "\n") .. "\n"
end

-- The text for a noun and a verb, both optional and known.
function help.text(noun, verb)
  local group = noun and commands.noun(noun)
  local lines
  if not group then
    lines = overview()
  elseif group.by_verb[verb or ""] then
    lines = of_row(group.by_verb[verb or ""])
  else
    lines = of_noun(group)
  end
  return table.concat(lines, "\n") .. "\n"
end

return help
