-- Proves: Lua as the shell has it: strict, JSON both ways, errors as values, the functions of
-- commands, the operating system's few things.

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
local ok <const>, is <const>, raises <const> = tap.ok, tap.is, tap.raises

-- strict
raises("reading an undeclared global", "undeclared global 'nothing'",
  function() return nothing end) -- luacheck: ignore 113
raises("setting one in a function", "undeclared global 'nothing'",
  function() nothing = 1 end) -- luacheck: ignore 111
raises("a member that vios lacks", "vios has no 'nothing'", function() return vios.nothing end)

-- JSON
local json = vios.json
is(json.encode({ b = 1, a = { 1, "x", true } }), '{"a":[1,"x",true],"b":1}', "sorted keys")
is(json.encode({ b = 1, a = 2, c = 3 }, { order = { "c" } }), '{"c":3,"a":2,"b":1}', "an order")
is(json.encode(json.array({})), "[]", "an empty array")
is(json.encode({}), "{}", "an empty object")
is(json.encode(json.decode('[{"a":[]},null,1.5]')), '[{"a":[]},null,1.5]', "there and back")
is(json.decode('{"a":null}').a, nil, "null members are absent")
local value, err = json.decode("{")
ok(value == nil and err.code == "corrupt", "bad JSON is an error value")
value, err = json.encode({ f = print })
ok(value == nil and tostring(err):match("a function cannot become JSON"), "so is a function")
local deep = {}
for _ = 1, 100 do
  deep = { deep }
end
value, err = json.encode(deep)
ok(value == nil and err.message:match("levels"), "so is too deep a table")
value, err = json.encode("\xff")
ok(value == nil and err.message:match("UTF%-8"), "so is text that is not UTF-8")

-- errors
local e = vios.error("no_space", "need 3", { object = 'pool "p"', hint = "remove LUs" })
is(tostring(e), 'pool "p": need 3: remove LUs', "an error prints as one line")
is(vios.errors.exit_status(e.code), 1, "its exit status")
is(vios.errors.exit_status("locked"), 6, "another one")
ok(vios.errors.is(e) and not vios.errors.is({}), "an error is told from a table")

-- commands as functions
raises("a verb that is none", "node has no 'lst': did you mean \"list\"",
  function() return vios.node.lst end)
raises("a parameter that is none", "no parameter 'nod': did you mean \"node\"",
  function() vios.node.show({ nod = "n1" }) end)
raises("a parameter that is missing", "'node' is missing", function() vios.node.show() end)
raises("one too many", "too many", function() vios.node.show("a", "b") end)
value, err = vios.node.list({ socket = "/nonexistent/vios.sock" })
ok(value == nil and err.code == "unreachable", "no daemon: nil, err")
ok(vios.node_list ~= nil and _G.node.list ~= nil, "vios.node_list and node.list are there too")

-- the parser of words
local parser = require("vios.parser")
local function parsed(line)
  return parser.parse((require("vios.words").split(line)))
end
is(parsed("node show 'a b'").parameters.node, "a b", "quotes")
is(parsed('node show "a \\"b"').parameters.node, 'a "b', "escapes")
is(parsed("node show -- --json").parameters.node, "--json", "-- ends options")
is(parsed("on n1,n2 node list").globals.on, "n1,n2", "on NODES")
is(parsed("node -list -fmt :").row.name, "node list", "a verb as an option")
is(parsed("node list -field a b -header").globals.field, "a,b", "-field a b")
is(parsed("node list --timeout=5").globals.timeout, "5", "--option=value")
value, err = parsed("node show")
ok(value == nil and err.code == "usage" and err.hint == "use: node show NODE", "the right form")

-- lines: command or Lua
local cli = require("vios.cli")
ok(cli.is_command("node list") and cli.is_command("  node"), "a noun first is a command")
ok(not cli.is_command("node.list()") and not cli.is_command("node = 1" and "node=1")
  and not cli.is_command("node:x()") and not cli.is_command("node['x']")
  and not cli.is_command("node(1)"), "a noun with . = : [ ( behind it is Lua")
ok(not cli.is_command("print(1)") and not cli.is_command("nodes list"), "anything else is Lua")
ok(not cli.is_complete("for i = 1, 2 do") and not cli.is_complete("node show 'n1")
  and cli.is_complete("x = 1"), "what is complete")

-- completion
local completion = require("vios.completion")
is(table.concat(completion.lua("x = vios.jso"), " "), "json", "a Lua path")
is(table.concat(completion.lua("string.form"), " "), "format", "another")
is(table.concat((completion.line("node.sh")), " "), "show", "the verbs of a noun")
is(table.concat(completion.words({ "help" }, "nod"), " "), "node", "nouns for help")
is(#completion.words({ "help" }, "self"), 0, "but not those that are for programs")

-- the operating system
local os_ = vios.os
local dir = os.tmpname()
os.remove(dir)
ok(os_.mkdir(dir .. "/a/b") and os_.kind(dir .. "/a/b") == "folder", "mkdir with those above")
ok(os_.write_file(dir .. "/f", "text", tonumber("600", 8)) and os_.read_file(dir .. "/f") == "text",
  "a file written and read")
is(table.concat(os_.read_dir(dir), " "), "a f", "a folder read")
value, err = os_.read_file(dir .. "/none")
ok(value == nil and err.code == "not_found", "a file that is not there")
local pid = assert(os_.spawn({ "/bin/sh", "-c", "echo out; echo err >&2; exit 3",
  stdout = dir .. "/out", stderr = dir .. "/err", cwd = dir }))
is(os_.wait(pid, 10), 3, "a process and its status")
is(os_.read_file(dir .. "/out"), "out\n", "its output")
value, err = os_.spawn({ "/nonexistent" })
ok(value == nil and err.code == "not_found", "a program that is not there")
pid = assert(os_.spawn({ "/bin/sleep", "60" }))
ok(os_.start_time(pid) ~= nil, "a process has a start time")
value, err = os_.wait(pid, 0.05)
ok(value == nil and err.code == "timeout", "waiting has a limit")
ok(os_.kill(pid, "KILL") and os_.wait(pid, 10) == 137, "killed")
ok(os_.remove_tree(dir) and os_.kind(dir) == nil, "a folder removed")
raises("kill of everybody is refused", "not the id", function() os_.kill(-1) end)

-- values
is(vios.parse.size("1.5G"), 1610612736, "a size")
value, err = vios.parse.size("12 apples")
ok(value == nil and err.code == "usage", "no size")
is(vios.term.text_width("日本 e\u{301}"), 6, "display width")
is(vios.term.escape("a\n\27[1m\xff"), "a\\x0a\\x1b[1m\\xff", "control bytes escaped")
is(require("vios.printer").size(1536), "1.5K", "a size for people")
is(table.concat(require("vios.nearest").find("lsit", { "lists", "show", "list" }), " "),
  "list", "near words, best first")

tap.finish()
