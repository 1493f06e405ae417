-- Proves: what the restricted shell has is declared by each row and each file, and is what the
-- manual says; and when it has begun, nothing of Lua or the machine is left to be reached.

local commands <const> = require("vios.commands")
local parser <const> = require("vios.parser")
local restricted <const> = require("vios.restricted")
local cli <const> = require("vios.cli")

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")

-- Rows that do more than to call their method, and are allowed all the same. Add one only after a
-- look at all that it does here.
local ALLOWED <const> = {
  ["cluster create"] = true, ["cluster set"] = true, ["cluster simulate"] = true,
  ["image import"] = true, ["ffdc list"] = true, ["ffdc show"] = true, ["db check"] = true,
  ["node remove"] = true,
  ["help"] = true, ["watch"] = true, ["on"] = true, ["quit"] = true,
  ["explain"] = true, ["top"] = true, ["metrics"] = true,
}

-- --- before it begins: the rows ---

local missing, wrong = {}, {}
for _, row in ipairs(commands.all()) do
  for _, list in ipairs({ row.arguments, row.options }) do
    for _, item in ipairs(list) do
      if item.complete == "file" and type(item.local_file) ~= "boolean" then
        missing[#missing + 1] = row.name .. " " .. item.name
      end
    end
  end
  if (row.restricted ~= nil) ~= (ALLOWED[row.name] == true) then
    wrong[#wrong + 1] = row.name
  end
end
tap.is(table.concat(missing, ", "), "", "each file says whose it is")
tap.is(table.concat(wrong, ", "), "", "no row is allowed that was not looked at")

tap.is(restricted.refusal(commands.row("lab", "up"), {}, {}), nil, "usually nothing is refused")
tap.is(restricted.no_lua(), nil, "Lua neither")

-- --- and then ---

restricted.begin("viewer", "/s")
tap.is(restricted.role() .. " " .. restricted.socket(), "viewer /s", "it knows its role and socket")
tap.is(require("vios.connection").socket({ socket = "/other" }), "/s", "the socket is fixed")

local function refusal(text)
  local parse <const> = assert(parser.parse((require("vios.words").split(text))))
  local err <const> = restricted.refusal(parse.row, parse.parameters, parse.globals)
  return err and err.code .. ": " .. tostring(err)
end

for _, text in ipairs({
  "lab up", "lab down", "source x", "history", "db restore x", "self-test", "complete",
  "db check x",
  "db check --config x", "ffdc list --dir /", "ffdc show 7 --config x", "ffdc timeline 7",
  "ffdc export 7 x", "cluster create c --passphrase-file x", "cluster set placement x",
  "node list --socket x", "metrics --file x", "viosbr -restore -file x", "viosbr -view -file x",
  "node add h4", "node remove n4 --host h4", "node remove n4 --dir /x",
}) do
  tap.ok((refusal(text) or ""):match("^usage: "), text .. " is refused", refusal(text))
end
for _, text in ipairs({
  "lpar list", "lpar create g --memory 1M --kernel /boot/vmlinuz", "on n2 node list", "help lab",
  "watch node list", "cluster set placement off", "cluster set split_time 20s", "quit",
  "image import -", "image import https://example.org/x.raw", "db check", "ffdc list",
  "lpar console g", "db backup /x", "node list --on @all --json",
  "metrics", "top", "explain lpar list", "ioscli lssp -fmt :", "lsmap -all", "ioslevel",
  "lu -list", "cluster -status -fmt :", "mkbdsp -sp p1 10G -bd web1", "viosbr -backup -file /x",
}) do
  tap.is(refusal(text), nil, text .. " is not")
end

for _, line in ipairs({
  "1 + 1", "os.execute('x')", "= 1", "return 1", "for i = 1, 2 do end", "vios.lab.up{}",
  "node.list()",
  "lab.up{}", "-- x", "(function() end)()", "x = 1", "load('x')", "print 'x'", "{}", '"x"',
}) do
  tap.ok(cli.line(line, "=vios", true) == 2, line .. ": no Lua")
end
tap.ok(cli.is_complete("for i = 1, 2 do"), "nor a line that waits for more of it")
tap.is(select(1, require("vios.completion").line("os.ex"))[1], nil, "nor its completion")
tap.is(#require("vios.completion").words({ "lpar", "create", "g", "--kernel" }, "/"), 0,
  "no names of files")

for _, name in ipairs({ "dofile", "load", "loadfile" }) do
  tap.is(rawget(_G, name), nil, name .. " is gone")
end
for _, each in ipairs({
  { io, "io", "open", "popen", "lines", "input", "output", "tmpfile", "read", "close" },
  { os, "os", "execute", "remove", "rename", "tmpname", "setlocale" },
  { vios.os, "vios.os", "spawn", "kill", "mkdir", "remove_tree", "read_file", "write_file",
    "read_dir", "real_path", "setenv", "program", "command_line" },
}) do
  for i = 3, #each do
    tap.is(each[1][each[i]], nil, each[2] .. "." .. each[i] .. " is gone")
  end
end
tap.ok(not pcall(require, "tap"), "no module of a folder is loaded")
tap.ok(pcall(require, "vios.help"), "our own are")
tap.ok(not pcall(restricted.begin), "it does not begin twice")
tap.finish()
