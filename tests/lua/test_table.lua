-- Proves: vios.table selects, filters, sorts, groups and sums the lists of commands without
-- changing them, and raises where it is misused, with the field's name and the caller's line;
-- vios.sleep.

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
local ok <const>, is <const>, raises <const> = tap.ok, tap.is, tap.raises

local t <const> = vios.table
local encode <const> = vios.json.encode

local list <const> = vios.json.decode([[ [
  {"name": "web2", "node": "n2", "state": "running", "memory_mib": 512},
  {"name": "db1", "node": "n1", "state": "running", "memory_mib": 1024},
  {"name": "web1", "node": "n1", "state": "stopped", "memory_mib": 512},
  {"name": "old", "state": "stopped", "why": "its node is away"} ] ]])
local before <const> = encode(list)

local function names(of)
  return table.concat(t.values(of, "name"), " ")
end

-- select
is(encode(t.select(list, "name", "node")[2]), '{"name":"db1","node":"n1"}', "two fields")
is(encode(t.select(list, "node")[4]), "{}", "one that an object does not have")
is(encode(t.select(vios.json.array({}), "name")), "[]", "of nothing: a list still")
t.select(list, "name")[1].name = "changed"
is(list[1].name, "web2", "its objects are new ones")

-- where
is(names(t.where(list, { state = "running" })), "web2 db1", "those with a value")
is(names(t.where(list, { state = "running", node = "n1" })), "db1", "with two")
is(names(t.where(list, { node = { "n2", "n3" } })), "web2", "with one of several")
is(names(t.where(list, function(guest) return guest.why end)), "old", "those that a function takes")
is(encode(t.where(list, { state = "lost" })), "[]", "none: a list still")
ok(t.where(list, { name = "db1" })[1] == list[2], "they are the same objects")
is(#t.where(list, {}), 4, "nothing wanted: all")

-- sort
is(names(t.sort(list, "name")), "db1 old web1 web2", "by text")
is(names(t.sort(list, "memory_mib")), "web2 web1 db1 old", "by number; equals stay, nil is last")
is(names(t.sort(list, "memory_mib", "desc")), "db1 web2 web1 old", "from the largest; nil is last")
is(names(t.sort(list, "memory_mib", "asc")), "web2 web1 db1 old", "from the smallest")
is(names(t.sort({ { name = "b", x = "10" }, { name = "a", x = 9 }, { name = "c", x = 10 } }, "x")),
  "a c b", "numbers before text")
local many <const> = {}
for i = 1, 500 do
  many[i] = { place = i, key = i * 7 % 5 }
end
local good = true
local sorted <const> = t.sort(many, "key")
for i = 2, #sorted do
  local a <const>, b <const> = sorted[i - 1], sorted[i]
  good = good and (a.key < b.key or a.key == b.key and a.place < b.place)
end
ok(good, "a long list, stable")

-- group, values, sum
local groups <const> = t.group(list, "node")
is(names(groups.n1), "db1 web1", "a group, in order")
is(names(groups[""]), "old", "that of those without the field")
is(#t.values(list, "why"), 1, "values without those that are missing")
is(t.sum(list, "memory_mib"), 2048, "a sum")
is(t.sum({}, "memory_mib"), 0, "of nothing")
is(encode(list), before, "the list itself is as it was")

-- misuse
raises("a field that is mistyped", 'vios.table.where: no object has the field "sate": '
  .. 'did you mean "state"', t.where, list, { sate = "up" })
raises("to sort by", 'vios.table.sort: no object has the field "nmae"', t.sort, list, "nmae")
raises("to select", 'vios.table.select: no object has the field "nodes"', t.select, list, "nodes")
is(#t.values(list, "free_bytes"), 0, "one that is null everywhere is none of these")
raises("no field", "vios.table.group: the name of a field is needed, and not nil", t.group, list)
raises("no field to select", "vios.table.select: the name of a field is needed", t.select, list)
raises("no list", "vios.table.sort: a list is needed, and not nil, as", t.sort, nil, "name")
raises("a result that is one object", "one object, and not a list", t.values, list[1], "name")
raises("a list of values", "element 1 of the list is a string", t.values, { "web1" }, "name")
raises("another direction", 'the direction is "asc" or "desc", and not "down"', t.sort, list,
  "name", "down")
raises("no filter", "vios.table.where: a function or a table of fields is needed, and not string",
  t.where, list, "up")
raises("the sum of text", 'vios.table.sum: the field "name" is no number: web2', t.sum, list,
  "name")
raises("a group by lists", 'the field "x" is no single value', t.group, { { x = {} } }, "x")
local _, message = pcall(function()
  t.sort(list, "nmae") -- the line that is named
end)
local line <const> = debug.getinfo(1, "l").currentline - 2
ok(message:match("test_table%.lua:" .. line .. ":"), "the caller's line is named", message)

-- sleep
local began <const> = vios.os.now_ms()
is(vios.sleep(0.02), true, "vios.sleep")
ok(vios.os.now_ms() - began >= 20, "sleeps")
raises("no time", "not a time", vios.sleep, -1)

tap.finish()
