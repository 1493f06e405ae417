-- Proves: PowerVM's words are understood in any order and behind ioscli, become the commands of
-- ours that they mean, and are refused, with the way out, when they mean nothing here.

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
local ok <const>, is <const> = tap.ok, tap.is

local parser <const> = require("vios.parser")
local commands <const> = require("vios.commands")
local completion <const> = require("vios.completion")
local cli <const> = require("vios.cli")

local function parsed(line)
  return parser.parse((require("vios.words").split(line)))
end

-- "lu create name=web1 size=10G", the parameters sorted.
local function meaning(line)
  local parse <const>, err = parsed(line)
  if not parse then
    return tostring(err)
  end
  local parts = {}
  for name, value in pairs(parse.parameters) do
    parts[#parts + 1] = name .. "=" .. tostring(value)
  end
  table.sort(parts)
  return table.concat({ parse.row.method, table.unpack(parts) }, " ")
end

-- what is typed, and what it means
for _, it in ipairs({
  { "lssp -fmt :", "pool.list" },
  { "ioscli lssp -type LVPOOL", "pool.list type=LVPOOL" },
  { "lssp -clustername c -sp p1 -bd", "lu.list bd=true clustername=c sp=p1" },
  { "lsmap -all -type disk cl_disk -fmt :", "adapter.list all=true type=disk,cl_disk" },
  { "cluster -status -clustername c", "cluster.status clustername=c" },
  { "cluster -clustername c -status", "cluster.status clustername=c" },
  { "cluster -list -fmt :", "cluster.list" },
  { "lu -list -sp p1", "lu.list sp=p1" },
  { "lu list --pool p1", "lu.list pool=p1" },
  { "cluster --status", "cluster.status" },
  { "mkbdsp -clustername c -sp p1 10g -bd web1 -thick",
    "lu.create name=web1 pool=p1 size=10G thick=true" },
  { "rmbdsp -sp p1 -bd web1", "lu.remove lu=p1/web1" },
  { "rmbdsp -luudid 0a", "lu.remove lu=0a" },
  { "lu -create -sp p1 -lu web1 -size 10g", "lu.create name=web1 pool=p1 size=10G" },
  { "lu -create web1 --size 10G", "lu.create name=web1 size=10G" },
  { "lu -remove -lu web1", "lu.remove lu=web1" },
  { "lu -resize -sp p1 -lu web1 -size 20G", "lu.resize lu=p1/web1 size=20G" },
  { "clffdc -c FULL -p 1", "ffdc.capture component=full priority=high" },
  { "clffdc -c rsct", "ffdc.capture component=rsct" },
  { "clffdc -g 7", "ffdc.collect correlator=7" },
  { "snap -general", "ffdc.capture trigger=snap" },
  { "viosbr -backup -file /b", "db.backup path=/b" },
  { "viosbr -file /b -backup", "db.backup path=/b" },
  { "viosbr -view -file /b", "db.check what=/b" },
  { "viosbr -restore -file /b", "db.restore file=/b" },
  { "rrstartlpar -o restart -m n1 -t n2 -p web1", "lpar.restart name=web1 node=n2" },
  { "rrstartlpar -o validate -p web1", "lpar.validate name=web1" },
  { "rrstartlpar -o cleanup -p web1", "lpar.cleanup name=web1" },
  { "ioslevel", "node.show" },
  { "on n2 ioscli ioslevel", "node.show" },
}) do
  is(meaning(it[1]), it[2], it[1])
end
is(parsed("viosbr -restore -file /b -validate").globals.dry_run, true, "-validate is --dry-run")
is(parsed("lu -list -field LU_NAME LU_UDID -fmt ,").globals.field, "lu_name,lu_udid",
  "fields in capitals")
is(parsed("cluster -status").row.columns[1], "cluster_name", "one dash: PowerVM's columns")
is(parsed("cluster status").row.columns[1], "name", "none: ours")

-- what is refused
for _, it in ipairs({
  { "lsmap -all -npiv", 'option "-npiv" means nothing here: instead: lsmap -all' },
  { "lsmap", '"-all" or "-vadapter" is missing: use: lsmap -all' },
  { "lsmap -all -type lvv", '"-type" does not know "lvv": one of: cl_disk' },
  { "lssp -tpye CLPOOL", 'unknown option "-tpye": did you mean "-type"' },
  { "lssp -type", 'option "-type" needs TYPE' },
  { "lssp p1", 'unexpected word "p1": use: lssp [-clustername CLUSTER]' },
  { "mkbdsp -sp p1 -bd web1", "SIZE is missing" },
  { "mkbdsp 10G -sp p1", 'it takes one name, with "-bd"' },
  { "lu -create a -lu b -size 10G", 'it takes one name, with "-lu"' },
  { "mkbdsp 10 -bd web1", '"10" has no unit: give 100M' },
  { "mkbdsp 10G -bd web1 -vadapter vhost0", "a guest is given its LUs when it is made" },
  { "rmbdsp -sp p1", 'it takes one of "-bd" and "-luudid"' },
  { "rmbdsp -bd a -luudid b", 'it takes one of "-bd" and "-luudid"' },
  { "rmbdsp -sp p1 -all", 'option "-all" means nothing here' },
  { "lu -create -lu web1 -size 10G -vadapter vhost0", "is given its LUs when it is made" },
  { "lu -resize -size 20G", 'it takes one of "-lu" and "-luudid"' },
  { "lu -resize -lu web1 -size 20", '"20" has no unit' },
  { "lu -map -lu web1 -vadapter vhost0", 'no command "lu -map": here it is: a guest is given' },
  { "clffdc", 'option "-c" is missing' },
  { "clffdc -c full -p 9", '"-p" does not know "9": one of: 1, 2, 3' },
  { "viosbr -backup", 'option "-file" is missing' },
  { "viosbr -backup -file /b -frequency daily", "a timer that runs \"vios db backup FILE\"" },
  { "viosbr -bakcup", 'viosbr has no verb "bakcup": did you mean "backup"' },
  { "cluster -addnode -hostname n4", 'no command "cluster -addnode": here it is: node token' },
  { "node -jsn", 'unknown option "-jsn"' },
  { "rrstartlpar -o restart", 'option "-partition" is missing' },
  { "rrstartlpar -o start -p web1", '"-o" does not know "start": one of: restart' },
  { "rrstartlpar -o cancel -p web1 -t n2", 'option "-t" is for restart and validate' },
  { "rrstartlpar -o restart --id 3", 'option "--id" means nothing here: instead: -p LPAR' },
  { "ioscli", "no command: use: ioscli COMMAND" },
  { "ioscli lspv", 'no command "lspv": here it is: image discover' },
  { "lspp", 'no command "lspp": did you mean "lssp"' },
}) do
  local parse <const>, err = parsed(it[1])
  ok(not parse and err.code == "usage" and tostring(err):find(it[2], 1, true) ~= nil,
    "refused: " .. it[1], tostring(err))
end

-- where they are found
ok(cli.is_command("lssp -fmt :") and cli.is_command("ioscli lssp"), "they are commands")
ok(not cli.is_command("snap.x"), "but not in Lua")
ok(commands.noun("lssp").powervm and not pcall(function() return vios.lssp end),
  "their Lua is that of our commands")
local help <const> = require("vios.help").text()
ok(help:match("PowerVM's commands.*\n  lssp .*\n  cluster %-status"), "help has them")
ok(require("vios.help").text("viosbr", "backup"):match("^viosbr %-backup %-file FILE"),
  "with one dash")
local function completed(...)
  local words <const> = { ... }
  return table.concat(completion.words(words, table.remove(words)), " ")
end
is(completed("rrst"), "rrstartlpar", "completed: a command")
is(completed("ioscli", "lss"), "lssp", "behind ioscli")
is(completed("cluster", "-st"), "-status", "a verb of theirs")
is(completed("viosbr", "-ba"), "-backup", "another")
is(completed("lu", "-list", "-verb"), "-verbose", "an option")
is(completed("rrstartlpar", "-o", "rest"), "restart", "a value")

tap.finish()
