-- Proves: vios.arguments gives the words of a script their names and types, with defaults, refuses
-- what does not fit as a command does, and raises for a description that is wrong.

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
local ok <const>, is <const>, raises <const> = tap.ok, tap.is, tap.raises

local DESCRIPTION <const> = {
  name = "sweep",
  summary = "sweep a pool",
  arguments = {
    { name = "pool", words = "its name" },
    { name = "limit", type = "duration", optional = true, default = 600, words = "so long" },
  },
  options = {
    { name = "keep", short = "k", value = "COUNT", type = "integer", minimum = 1, maximum = 99,
      default = 7, words = "so many" },
    { name = "above", value = "SIZE", type = "size", words = "only those" },
    { name = "skip", value = "NAME", many = true, words = "not this one" },
    { name = "every", value = "TIME", type = "duration", many = true, words = "again and again" },
    { name = "how", value = "WORD", only = true, complete = { "fast", "slow" },
      words = "fast or slow" },
    { name = "no_log", words = "say nothing" },
    "json",
  },
  examples = { "p1", "p1 10m --keep 3 --skip 'a b'" },
}

local function given(...)
  return vios.arguments(DESCRIPTION, { ... })
end

-- The error of words that do not fit.
local function refused(...)
  local good <const>, err <const> = pcall(given, ...)
  return not good and vios.errors.is(err) and err.code == "usage" and tostring(err) or "no error"
end

-- what fits
local values = given("p1")
is(values.pool, "p1", "an argument")
is(values.limit, 600, "the default of one")
is(values.keep, 7, "that of an option")
ok(values.no_log == nil and values.above == nil and values.json == nil, "no default: nil")
values = given("--keep", "3", "p1", "1.5m", "--above=2K", "--no-log", "--how", "slow")
is(values.keep, 3, "an integer is a number")
is(values.limit, 90, "a time is in seconds")
is(values.above, 2048, "a size in bytes")
is(values.no_log, true, "a flag")
is(values.how, "slow", "one of some words")
is(given("p1", "200ms").limit, 0.2, "parts of a second")
is(given("p1", "-k", "9").keep, 9, "a short option")
is(table.concat(given("p1", "--skip", "a", "--skip", "b").skip, " "), "a b", "many of one")
is(table.concat(given("p1", "--every", "1m", "--every", "2m").every, " "), "60.0 120.0",
  "each is converted")
is(given("--", "-p1").pool, "-p1", "-- ends the options")

-- what does not
is(refused(), "POOL is missing: use: sweep POOL [LIMIT] [--keep COUNT] [--above SIZE] "
  .. "[--skip NAME] [--every TIME] [--how WORD] [--no-log] [--json]", "the right form is told")
ok(refused("p1", "5", "x"):match('^unexpected word "x": use: sweep POOL'), "one word too many")
ok(refused("p1", "--kep", "3"):match('unknown option "%-%-kep": did you mean "%-%-keep"'),
  "an option that is mistyped")
ok(refused("p1", "--yes"):match('unknown option "%-%-yes"'), "an option of commands, not of this")
ok(refused("p1", "--keep"):match('option "%-%-keep" needs COUNT'), "no value")
ok(refused("p1", "--no-log=1"):match('option "%-%-no%-log" takes no value'), "one too many")
ok(refused("p1", "--keep", "1", "--keep", "2"):match('"%-%-keep" is given twice'), "twice")
is(refused("p1", "--keep", "few"), '--keep: "few" is not such a number: give a whole number from '
  .. '1 to 99', "no number")
ok(refused("p1", "--keep", "0"):match('^%-%-keep: "0" is not such a number'), "one out of bounds")
ok(refused("p1", "soon"):match('^LIMIT: "soon" is not a duration: give seconds'), "no time")
ok(refused("p1", "--above", "much"):match('^%-%-above: "much" is not a size'), "no size")
ok(refused("p1", "--how", "well"):match('^%-%-how: "well" is none of them: give fast or slow'),
  "none of the words")

-- the shell's own options before the script hold for it, and for what is reported
local cli <const> = require("vios.cli")
is(cli.defaults.json, nil, "nothing is JSON yet")
refused("p1", "--kep", "--json")
is(cli.defaults.json, true, "an error behind --json is told as JSON")
is(given("p1").json, true, "vios --json script.lua")
cli.defaults.json = nil

-- a description that is wrong
local function misuse(what, pattern, changes)
  local whole <const> = setmetatable(changes, { __index = DESCRIPTION })
  raises(what, "vios.arguments: " .. pattern, vios.arguments, whole, { "p1" })
end
misuse("an option without words", "option 1 lacks name or words", { options = { { name = "x" } } })
misuse("of no type there is", "x is of no type there is",
  { options = { { name = "x", value = "X", type = "number", words = "x" } } })
misuse("twice the same name", "name twice: pool", { options = { { name = "pool", words = "x" } } })
misuse("an option that no command has", 'no command has the option "jsn": did you mean "json"',
  { options = { "jsn" } })
misuse("a needed argument behind an optional one", "a needed argument behind",
  { arguments = { { name = "a", optional = true, words = "a" }, { name = "b", words = "b" } },
    examples = {} })
misuse("an example that does not fit", "example: p1 %-%-few: unknown option",
  { examples = { "p1 --few" } })
local _, message = pcall(function()
  vios.arguments({ summary = "none", options = { {} } }, {}) -- the line that is named
end)
local line <const> = debug.getinfo(1, "l").currentline - 2
ok(message:match("test_arguments%.lua:" .. line .. ":"), "the caller's line is named", message)

tap.finish()
