-- Proves: of a line that is wrong the word at fault is known and marked, also among wide characters
-- and in a long line; aliases stand for what they are told to, and for nothing that they must not.

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
local ok <const>, is <const>, raises <const> = tap.ok, tap.is, tap.raises

local parser <const> = require("vios.parser")
local caret <const> = require("vios.caret")
local split <const> = require("vios.words").split

-- The line and its mark, as they are shown.
local function marked(line)
  local words <const>, typed <const> = split(line)
  typed.text = line
  local parse <const>, _, partial = parser.parse(words)
  local number = partial and partial.fault
  if parse then
    local err <const> = select(2, require("vios.execute").parameters(parse.row, parse.parameters))
    number = parse.where[err.item][err.nth or 1]
  end
  return table.concat({ caret.lines(words, number, typed) }, "\n")
end

for _, case in ipairs({
  { "an option", "lpar start web1 --tiemout 3",
    "    lpar start web1 --tiemout 3\n                    ^~~~~~~~~" },
  { "a noun", "lparr list", "    lparr list\n    ^~~~~" },
  { "a verb", "  lpar   lits", "    lpar   lits\n           ^~~~" },
  { "no verb", "lpar", "    lpar\n         ^" },
  { "an object that is missing", "lpar start", "    lpar start\n               ^" },
  { "one too many", "lpar start a b", "    lpar start a b\n                 ^" },
  { "one behind wide characters", "lpar start 日本 e\u{301} b",
    "    lpar start 日本 e\u{301} b\n                    ^" },
  { "a word in quotes", "lpar 'a b' c", "    lpar 'a b' c\n         ^~~~~" },
  { "a value", "audit list --limit x", "    audit list --limit x\n                       ^" },
  { "a value behind =", "audit list --limit=x",
    "    audit list --limit=x\n               ^~~~~~~~~" },
  { "an option without its value", "node list --fmt", "    node list --fmt\n              ^~~~~" },
  { "a value that is none of them", "node list --color blue",
    "    node list --color blue\n                      ^~~~" },
  { "nodes that are missing", "on n1", "    on n1\n          ^" },
  { "a control character", "lpar start a\27[1m b",
    "    lpar start a\\x1b[1m b\n                        ^" },
}) do
  is(marked(case[2]), case[3], case[1] .. " is marked")
end

local long <const> = "lpar create x" .. (" --disk a"):rep(20) .. " --tiemout 3"
  .. (" --disk b"):rep(20)
local shown <const>, mark <const> = marked(long):match("^(.*)\n(.*)$")
ok(#shown < 80 and shown:match("^    %.%.%. [a-]") and #mark < 80, "a long line is cut", shown)
is(shown:sub(#mark - 8, #mark), "--tiemout", "the mark is under its word")

is(caret.quoted("it's"), [['it'\''s']], "a word is quoted where it must be")
is(split("x " .. caret.quoted("it's"))[2], "it's", "and read again")
is(table.concat({ caret.lines({ "lpar", "a b", "c" }, 3) }, "\n"),
  "    lpar 'a b' c\n               ^", "words that came one by one make a line")

-- aliases
vios.alias("ll", "lpar list")
vios.alias("everywhere", "on @all node list")
local function parsed(line)
  return parser.parse((split(line)))
end
is(parsed("ll --json").row.name, "lpar list", "an alias is what it stands for")
is(parsed("ll --json").globals.json, true, "with what is behind it")
is(parsed("--json ll").row.name, "lpar list", "and before it")
is(parsed("on n2 ll").globals.on, "n2", "also on another node")
is(parsed("everywhere").globals.on, "@all", "one may say where")
vios.alias("ll", "lpar show")
is(parsed("ll web1").row.name, "lpar show", "it may be made anew")
ok(require("vios.cli").is_command("ll web1"), "it begins a command")
ok(not require("vios.cli").is_command("ll.x"), "as a noun does")
ok(require("vios.help").text():match("\n  ll +lpar show\n"), "help shows it")
local completion <const> = require("vios.completion")
is(table.concat(completion.words({}, "everyw"), " "), "everywhere", "it completes")
is(table.concat(completion.words({ "ll" }, "--js"), " "), "--json", "and what is behind it")
ok(tostring(select(2, parsed("everywere"))):match('did you mean "everywhere"'), "it is suggested")
local value <const>, err <const> = parsed("ll web1 --tiemout")
ok(value == nil and err.message:match("tiemout"), "an error is about what was typed", tostring(err))

for what, case in pairs({
  ["that hides a command"] = { "lpar", "node list", "there is a command" },
  ["that hides a word of Lua"] = { "end", "node list", "word of Lua" },
  ["that hides a variable"] = { "print", "node list", "word of Lua" },
  ["of an alias"] = { "lll", "ll", "does not begin with a command" },
  ["of itself"] = { "again", "again x", "does not begin with a command" },
  ["of Lua"] = { "p", "print(1)", "does not begin with a command" },
  ["of nothing"] = { "nothing", " ", "does not begin with a command" },
  ["of half a line"] = { "half", "lpar show 'x", "within quotes" },
  ["with an awkward name"] = { "a b", "lpar list", "a name is" },
}) do
  raises("an alias " .. what .. " is refused", case[3], vios.alias, case[1], case[2])
end
raises("nor can it be no text", "needs the line", vios.alias, "x1", 7)
is(#require("vios.aliases").names(), 2, "no more than two were made")
tap.finish()
