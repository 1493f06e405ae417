-- Proves: of a line that is wrong the word at fault is known and marked, also among wide characters
-- and in a long line.

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
local ok <const>, is <const> = tap.ok, tap.is

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

tap.finish()
