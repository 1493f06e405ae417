-- parser.lua - words to a command: [on NODES] NOUN VERB [OBJECT ...] [--option VALUE ...]
--
-- VIOS habits parse as well: `node -list` (a verb as an option), long options with one dash,
-- `-fmt :`, `-field a b`; and PowerVM's own commands, also behind `ioscli`.

local vios <const> = require("vios")
local commands <const> = require("vios.commands")
local nearest <const> = require("vios.nearest")

local parser = {}

-- In the order of the manual. `value`: takes one.
parser.GLOBALS = {
  { name = "json", words = "print JSON" },
  { name = "fmt", value = "D", words = "print fields with D between them; a space when empty" },
  { name = "fmt2", value = "D", words = "the same; nothing when empty" },
  { name = "field", value = "A,B", spread = true, words = "only these fields, in this order" },
  { name = "header", words = "with --fmt: the names of the fields first" },
  { name = "on", value = "NODES", words = "run there: n1,n[3-5], !n4, @all, ssh:HOST" },
  { name = "yes", words = "do not ask" },
  { name = "dry_run", words = "check, print the same as Lua, and do nothing" },
  { name = "timeout", value = "TIME", words = "give up after 5, 200ms, 2m" },
  { name = "quiet", words = "no notes and no progress on stderr" },
  { name = "color", value = "WHEN", words = "auto, always or never", only = true,
    complete = { "auto", "always", "never" } },
  { name = "socket", value = "PATH", words = "the daemon's socket", local_file = true },
}

-- "--timeout"; as PowerVM's rows have it, "-timeout".
function parser.dashed(name, row)
  return (row and row.powervm and "-" or "--") .. name:gsub("_", "-")
end

-- "--timeout TIME"
function parser.with_value(option, row)
  return parser.dashed(option.name, row) .. (option.value and " " .. option.value or "")
end

-- The same with its short form: "-f, --follow".
function parser.both(option, row)
  return (option.short and "-" .. option.short .. ", " or "") .. parser.with_value(option, row)
end

local NO_WAIT <const> = { name = "no_wait", also = "nowait", words = "return the job at once" }
local HELP <const> = { name = "help", words = "show how it is used" }

-- The options that only this row takes; none without a row.
function parser.own_options(row)
  local own <const> = row and { table.unpack(row.options) } or {}
  own[#own + 1] = row and row.job and NO_WAIT or nil
  return own
end

local function usage(message, hint)
  return nil, vios.error("usage", message, hint and { hint = hint } or nil)
end

local function quote(word)
  return '"' .. word .. '"'
end

-- `lpar stop LPAR [--timeout TIME]`
function parser.form(row)
  if row.form then
    return row.form
  end
  local parts = { row.name }
  for _, argument in ipairs(row.arguments) do
    local word = argument.name:upper() .. (argument.many and " ..." or "")
    parts[#parts + 1] = argument.optional and "[" .. word .. "]" or word
  end
  for _, option in ipairs(parser.own_options(row)) do
    local word = parser.with_value(option, row)
    parts[#parts + 1] = option.required and word or "[" .. word .. "]"
  end
  return table.concat(parts, " ")
end

-- The options that a row takes, its own first, in order; and the same by name, long and short.
function parser.options(row)
  local known, list = {}, {}
  local function add(option)
    if not known[option.name] then
      known[option.name] = option
      if option.also then
        known[option.also] = option
      end
      if option.short then
        known[option.short] = option
      end
      list[#list + 1] = option
    end
  end
  for _, option in ipairs(parser.own_options(row)) do
    add(option)
  end
  for _, option in ipairs(row and row.alone and {} or parser.GLOBALS) do
    add(option)
  end
  add(HELP)
  return list, known
end

local function is_own(row, option)
  for _, own in ipairs(parser.own_options(row)) do
    if own == option then
      return true
    end
  end
  return false
end

-- "--name=value", "-name" -> name, value or nil, dashes; nil for a word that is no option.
local function option_word(word)
  local dashes, name, rest = word:match("^(%-%-?)([%a][%w-]*)(.*)$")
  if not dashes or (rest ~= "" and rest:sub(1, 1) ~= "=") then
    return nil
  end
  return name:gsub("-", "_"), rest ~= "" and rest:sub(2) or nil, dashes
end

-- "--json" and so on.
function parser.option_names(row)
  local names = {}
  for i, option in ipairs(parser.options(row)) do
    names[i] = parser.dashed(option.name, row)
  end
  return names
end

local function unknown_option(word, row)
  local ours <const> = row and row.refused and row.refused[word:match("^%-+([%w_-]*)")]
  if ours then
    return usage("option " .. quote(word) .. " means nothing here", "instead: " .. ours)
  end
  local names = parser.option_names(row)
  local bare = parser.dashed(word:gsub("^%-+", ""), row)
  return usage("unknown option " .. quote(word) .. nearest.hint(bare, names),
    row and "use: " .. parser.form(row) or 'see "help"')
end

local function is_one_of(value, words)
  for _, word in ipairs(words) do
    if value == word then
      return true
    end
  end
  return false
end

-- A state of parsing: words (and whether they are `expanded` from an alias, so that they stand
-- nowhere), at, row, positional, parameters, globals; `fault` is the number of the
-- word that an error is about, `took[number]` what a word was taken for: { as =, item = }, and
-- `where[name]` the numbers of the words that have an item's values.
local Parse = {}
Parse.__index = Parse

local function new_parse(words)
  return setmetatable({ words = words, at = 1, positional = {}, numbers = {}, parameters = {},
    globals = {}, took = {}, where = {} }, Parse)
end

-- The word was taken for `as` ("noun", "verb", "object", "option", "value", "on", "nodes"); a value
-- is of `item`.
function Parse:take(number, as, item)
  self.took[number] = { as = as, item = item }
  if as == "object" or as == "value" then
    self.where[item.name] = self.where[item.name] or {}
    table.insert(self.where[item.name], number)
  end
end

-- An error is about what is missing behind the last word.
function Parse:missing()
  self.fault = #self.words + 1
end

-- `-field a b c`: with one dash, all words up to the next option, with commas.
function Parse:take_value(option, value, dashes)
  if value then
    return value
  end
  local word = self.words[self.at]
  if word == nil or (word:sub(1, 2) == "--" and #word > 2) then
    return usage("option " .. quote(parser.dashed(option.name, self.row)) .. " needs "
      .. option.value,
      self.row and "use: " .. parser.form(self.row) or nil)
  end
  self.fault = self.at
  self:take(self.at, "value", option)
  self.at = self.at + 1
  if option.spread and dashes == "-" then
    while self.words[self.at] and self.words[self.at]:sub(1, 1) ~= "-" do
      word = word .. "," .. self.words[self.at]
      self:take(self.at, "value", option)
      self.at = self.at + 1
    end
  end
  return word
end

function Parse:store(option, value)
  local into = is_own(self.row, option) and self.parameters or self.globals
  if option == NO_WAIT then
    into.wait = false
  elseif option.only and not is_one_of(value, option.complete) then
    return nil, vios.error("usage", quote(value) .. " is none of them",
      { object = parser.dashed(option.name), hint = "give " .. option.words })
  elseif option.many then
    into[option.name] = into[option.name] or {}
    table.insert(into[option.name], value)
  elseif into[option.name] ~= nil and into == self.parameters then
    return usage("option " .. quote(parser.dashed(option.name, self.row)) .. " is given twice")
  else
    into[option.name] = value
  end
  return true
end

-- The word is the one before `at`.
function Parse:option(word)
  self.fault = self.at - 1
  local name, value, dashes = option_word(word)
  local _, known = parser.options(self.row)
  local option = name and known[name]
  if not option then
    return unknown_option(word, self.row)
  end
  self:take(self.fault, "option", option)
  if option.value and value then
    self.where[option.name] = { self.fault }
  end
  if not option.value then
    if value then
      return usage("option " .. quote(parser.dashed(name, self.row)) .. " takes no value")
    end
    return self:store(option, true)
  end
  local text, err = self:take_value(option, value, dashes)
  if not text then
    return nil, err
  end
  local is_field <const> = option.name == "field" and self.row and self.row.powervm
  return self:store(option, is_field and text:lower() or text)
end

-- PowerVM's verbs stand behind one dash, and its options in any order: `lu -sp p1 -list`.
function Parse:dashed_verb(group)
  if not (self.words[self.at] or ""):match("^%-%a") then
    return false
  end
  for at = self.at, #self.words do
    local row <const> = commands.dashed_row(group, self.words[at])
    if row then
      self.row = row
      local rest <const> = { table.unpack(self.words, 1, at - 1) }
      self.words = table.move(self.words, at + 1, #self.words, at, rest)
      return true
    end
  end
  return false
end

-- Takes the verb, also one typed as an option: `cluster -status`.
function Parse:verb(group)
  if group.by_verb[""] then
    self.row = group.by_verb[""]
    return true
  elseif self:dashed_verb(group) then
    return true
  end
  local word = self.words[self.at]
  local name = word and (option_word(word) or word)
  self.fault = self.at
  if name and group.by_verb[name] then
    self.row = group.by_verb[name]
    self:take(self.at, "verb")
    self.at = self.at + 1
    return true
  end
  if word and word:sub(1, 1) == "-" then
    local ok, err = self:skip_global()
    if not ok then
      return nil, require("vios.meant").dashed_verb(group, word) or err
    end
    return self:verb(group)
  end
  if self.globals.help then
    return true
  end
  return require("vios.meant").verb(group, word, self.words[self.at + 1])
end

-- A global option before noun or verb.
function Parse:skip_global()
  local word = self.words[self.at]
  self.at = self.at + 1
  return self:option(word)
end

-- Global options, `on NODES` and `ioscli`, up to the noun.
function Parse:prefix()
  while true do
    local word = self.words[self.at]
    if word and word:sub(1, 1) == "-" and #word > 1 then
      local ok, err = self:skip_global()
      if not ok then
        return nil, err
      end
    elseif word == "on" then
      self.fault = self.at
      if not self.words[self.at + 1] then
        return usage("on needs the names of nodes", "use: on n1,n2 NOUN VERB, or on @all ...")
      end
      self.globals.on = self.words[self.at + 1]
      self:take(self.at, "on")
      self:take(self.at + 1, "nodes")
      self.at = self.at + 2
    elseif word == "ioscli" then
      self.prefixed = word
      self.at = self.at + 1
    else
      return true
    end
  end
end

function Parse:rest()
  local literal = self.row.raw
  while self.words[self.at] do
    local word = self.words[self.at]
    self.at = self.at + 1
    if word == "--" and not literal then
      literal = true
    elseif word:sub(1, 1) == "-" and #word > 1 and not literal then
      local ok, err = self:option(word)
      if not ok then
        return nil, err
      end
    else
      self.positional[#self.positional + 1] = word
      self.numbers[#self.positional] = self.at - 1
    end
  end
  return true
end

-- A row that stands for another one becomes that, with its parameters.
function Parse:translate()
  if self.row.means then
    local row, parameters = self.row.means(self.parameters, self.globals)
    if not row then
      return nil, parameters
    end
    self.row, self.parameters = row, parameters
  end
  return true
end

-- Gives the positional words their names.
function Parse:name_arguments()
  local at = 1
  for _, argument in ipairs(self.row.arguments) do
    local value = self.positional[at]
    if value == nil then
      if not argument.optional then
        self:missing()
        return usage(argument.name:upper() .. " is missing", "use: " .. parser.form(self.row))
      end
    elseif argument.many then
      self.parameters[argument.name] = { table.unpack(self.positional, at) }
      for i = at, #self.positional do
        self:take(self.numbers[i], "object", argument)
      end
      at = #self.positional + 1
    else
      self.parameters[argument.name] = value
      self:take(self.numbers[at], "object", argument)
      at = at + 1
    end
  end
  if self.positional[at] then
    self.fault = self.numbers[at]
    return usage("unexpected word " .. quote(self.positional[at]),
      "use: " .. parser.form(self.row))
  end
  for _, option in ipairs(self.row.options) do
    if option.required and self.parameters[option.name] == nil then
      self:missing()
      return usage("option " .. quote(parser.dashed(option.name, self.row)) .. " is missing",
        "use: " .. parser.form(self.row))
    end
  end
  return true
end

-- on NODES !command: all the rest is for the shells there.
function Parse:shell_command()
  local command <const> = table.concat(self.words, " ", self.at):sub(2)
  if not self.globals.on then
    return usage("a command for another machine's shell needs the machines",
      "use: on n1,n2 !" .. command)
  elseif command:match("^%s*$") then
    return usage("no command behind the \"!\"", "use: on NODES !COMMAND ...")
  end
  self.shell = command
  return true
end

-- The words behind the name of a row, as parse() gives them: for a row that is no command.
function parser.parse_row(row, words)
  local parse <const> = new_parse(words)
  parse.row = row
  local ok, err = parse:rest()
  if ok and not parse.globals.help then
    ok, err = parse:name_arguments()
  end
  return ok and parse or nil, err
end

-- Takes the noun; false when there is none and none is needed.
function Parse:noun()
  local noun = self.words[self.at]
  if not noun and self.globals.help then
    return false
  elseif not noun then
    self:missing()
    return usage("no command", self.prefixed and "use: ioscli COMMAND ..."
      or self.globals.on and "use: on n1,n2 NOUN VERB ..." or 'see "help"')
  end
  self.group = commands.noun(noun)
  local expanded <const> = not self.group and require("vios.aliases").expand(self.words, self.at)
  if expanded then
    self.words, self.expanded = expanded, true
    return self:from_start()
  elseif not self.group and commands.noun(self.globals.on or "") then -- on node list
    return usage("on needs the names of nodes", "use: on n1,n2 NOUN VERB ...")
  elseif not self.group then
    self.fault = self.at
    return require("vios.meant").noun(noun, self.words[self.at + 1])
  end
  self:take(self.at, "noun")
  self.at = self.at + 1
  return true
end

-- What is before the noun, and that; or a command for other machines' shells.
function Parse:from_start()
  local ok, err = self:prefix()
  if ok and (self.words[self.at] or ""):sub(1, 1) == "!" then
    return self:shell_command()
  elseif ok then
    ok, err = self:noun()
  end
  return ok, err
end

-- All of it: true, or nil, err.
function Parse:all()
  local ok, err = self:from_start()
  if ok and not self.shell then
    ok, err = self:verb(self.group)
  end
  if ok and self.row then
    ok, err = self:rest()
  end
  if ok and self.row and not self.globals.help then
    ok, err = self:name_arguments()
    if ok then
      ok, err = self:translate()
    end
  end
  return ok ~= nil or nil, err -- false: help was asked, without a noun
end

-- { row =, parameters =, globals =, took =, where = }; row is nil when only help of a noun was
-- asked, or `shell` is the command for the shells of other machines. Otherwise nil, err, and the
-- state, whose `fault` is the number of the word at fault.
function parser.parse(words)
  local parse = new_parse(words)
  local ok, err = parse:all()
  if not ok then
    return nil, err, parse
  end
  return parse
end

-- Reads leading global options of the program itself: the options, and where the rest begins.
function parser.leading(words)
  local parse = new_parse(words)
  while words[parse.at] and words[parse.at]:sub(1, 1) == "-" do
    local name = option_word(words[parse.at])
    if not name or name == "e" or name == "c" or name == "help" or name == "version" then
      break
    end
    local ok, err = parse:skip_global()
    if not ok then
      return nil, err
    end
  end
  return parse.globals, parse.at
end

return parser
