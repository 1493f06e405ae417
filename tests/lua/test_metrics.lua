-- Proves: what `metrics` prints is OpenMetrics text, by a strict reader that refuses what is not;
-- each number is told as it is, what is not known is not told, and a file is written as a whole.

local folder <const> = arg[0]:match("^.*/")
local tap <const> = dofile(folder .. "tap.lua")
local read <const> = assert(loadfile(folder .. "openmetrics.lua"))("module")
local ok <const>, is <const> = tap.ok, tap.is

local metrics <const> = require("vios.metrics")

-- The reader itself.
local function refuses(what, pattern, text)
  local samples, err = read(text)
  ok(not samples and err:match(pattern) ~= nil, "the reader refuses " .. what, tostring(err))
end
local HEAD <const> = "# TYPE a gauge\n# HELP a Some.\n"
is(read(HEAD .. 'a{x="\\"\\\\\\n"} 1.5\na 2\n# EOF\n')["a"], 2, "the reader takes what is good")
refuses("no end", "the end is missing", HEAD .. "a 1\n")
refuses("a last line without its end", "no end", HEAD .. "a 1\n# EOF")
refuses("more behind the end", "line 2: .* behind the end", "# EOF\na 1\n")
refuses("a sample without a family", "line 1: a is of no family", "a 1\n# EOF\n")
refuses("one of another family", "b is of no family", HEAD .. "b 1\n# EOF\n")
refuses("one without HELP", "a has no HELP", "# TYPE a gauge\na 1\n# EOF\n")
refuses("a sample twice", 'line 4: a{x="1"} twice',
  HEAD .. 'a{x="1"} 1\na{x="1"} 2\n# EOF\n')
refuses("a family in two pieces", "a is not in one piece",
  HEAD .. "# TYPE b gauge\n# HELP b Some.\nb 1\n# TYPE a gauge\n# EOF\n")
refuses("a counter without _total", "a is of no family",
  "# TYPE a counter\n# HELP a Some.\na 1\n# EOF\n")
refuses("one below 0", "a counter below 0",
  "# TYPE a counter\n# HELP a Some.\na_total -1\n# EOF\n")
refuses("a unit that the name lacks", "a does not end with its unit bytes",
  "# TYPE a gauge\n# UNIT a bytes\n# EOF\n")
refuses("a second HELP", "a second HELP", HEAD .. "# HELP a More.\n# EOF\n")
refuses("metadata behind a sample", "UNIT behind a sample", HEAD .. "a 1\n# UNIT a a\n# EOF\n")
refuses("a label that is not escaped", "is not escaped well", HEAD .. 'a{x="\\x"} 1\n# EOF\n')
refuses("a label twice", "the label x twice", HEAD .. 'a{x="1",x="2"} 1\n# EOF\n')
refuses("what is no number", "this is no number: nil", HEAD .. "a nil\n# EOF\n")
refuses("an empty line", "this is no sample", HEAD .. "\n# EOF\n")
refuses("a type that does not exist", "type number", "# TYPE a number\n# EOF\n")

-- What is told of a cluster.
local TOLD <const> = {
  up = true, db = true,
  cluster = { name = "lab", state = "DEGRADED", primary = "n1", epoch = 7 },
  nodes = { { name = "n1", state = "up" }, { name = "n2", state = "drained" },
    { name = "n3", state = "down" } },
  page_memory = { { name = "n1", page_memory_bytes = 1 << 40, page_memory_used_bytes = 4096 } },
  lpar = { { name = "a", state = "running", wanted = "running" },
    { name = "b", state = "panicked", wanted = "running" },
    { name = "c", state = "stopped", wanted = "stopped" },
    { name = "d", state = "dreaming", wanted = "stopped" } },
  paging = { { lpar = "a", state = "OK", size_bytes = 1 << 30, pages_in = 5, pages_out = 6,
    errors = 0 }, { lpar = "b", state = "DEGRADED", size_bytes = 4096 } },
  pool = { { name = "p1", state = "OK", size_bytes = 100, free_bytes = 40, promised_bytes = 300 },
    { name = "p2", state = "DOWN", promised_bytes = 0 } },
  job = { { state = "failed" }, { state = "done" }, { state = "done" } },
}
local samples, err = read(metrics.render(metrics.families(TOLD)))
ok(samples, "what is told of a cluster can be read", err)
local function told(name, want, what)
  is(samples[name], want, what .. ": " .. name)
end
told("vios_up", 1, "the daemon answers")
told("vios_db_up", 1, "and the VIOS DB")
told('vios_cluster_state{cluster="lab",state="DEGRADED"}', 1, "the cluster's state")
told('vios_cluster_state{cluster="lab",state="OK"}', 0, "and what it is not")
told("vios_epoch", 7, "the epoch")
told('vios_primary{node="n1"}', 1, "the primary")
told('vios_nodes{state="down"}', 1, "nodes that are down")
told('vios_nodes{state="suspect"}', 0, "and none of these")
told('vios_node_up{node="n2"}', 1, "a drained node is up")
told('vios_node_up{node="n3"}', 0, "one that is down is not")
told('vios_page_memory_size_bytes{node="n1"}', 1 << 40, "a large number")
told('vios_page_memory_used_bytes{node="n1"}', 4096, "page memory")
told('vios_lpars{state="panicked"}', 1, "LPARs that panicked")
told('vios_lpars{state="dreaming"}', 1, "a state that nobody knew")
told("vios_lpars_missing", 1, "LPARs that should run")
told('vios_paging_state{lpar="b",state="DEGRADED"}', 1, "a paging device")
told('vios_paging_in_pages_total{lpar="a"}', 5, "its pages in")
told('vios_paging_out_pages_total{lpar="a"}', 6, "and out")
told('vios_paging_errors_total{lpar="a"}', 0, "no error is told too")
told('vios_paging_in_pages_total{lpar="b"}', nil, "what another node hosts is not told")
told('vios_pool_used_bytes{pool="p1"}', 60, "a pool")
told('vios_pool_promised_bytes{pool="p1"}', 300, "and its promises")
told('vios_pool_up{pool="p2"}', 0, "one that is away")
told('vios_pool_used_bytes{pool="p2"}', nil, "has no space that is known")
told('vios_jobs{state="done"}', 2, "jobs")
told('vios_jobs{state="failed"}', 1, "those that failed")

-- What is not known is left out.
samples = read(metrics.render(metrics.families({ up = false, db = false })))
told("vios_up", 0, "no daemon")
local names = 0
for _ in pairs(samples) do
  names = names + 1
end
is(names, 1, "and nothing else")
samples, err = read(metrics.render(metrics.families({ up = true, db = false, nodes = TOLD.nodes,
  cluster = { name = "lab", state = "DOWN", primary = "", epoch = 7 }, page_memory = {} })))
ok(samples, "without the VIOS DB it can be read", err)
told("vios_db_up", 0, "it does not answer")
told('vios_cluster_state{cluster="lab",state="DOWN"}', 1, "what is known is told")
told('vios_primary{node=""}', nil, "nobody is primary")
told("vios_lpars_missing", nil, "what is not known is not")
told('vios_lpars{state="running"}', nil, "and not told as 0")
local awkward <const> = 'a"b\\c\nd'
samples, err = read(metrics.render({ { name = "vios_x", type = "gauge", help = awkward,
  samples = { { labels = { { "lpar", awkward } }, value = 0.5 } } } }))
ok(samples, "awkward text is escaped", err)
told('vios_x{lpar="a\\"b\\\\c\\nd"}', 0.5, "and a number may have parts")

-- The file.
local dir <const> = os.tmpname()
os.remove(dir)
assert(vios.os.mkdir(dir))
ok(metrics.write(dir .. "/v.prom", "old\n") and metrics.write(dir .. "/v.prom", "new\n"),
  "a file is written, and again")
is(vios.os.read_file(dir .. "/v.prom"), "new\n", "it has what was written last")
is(table.concat(vios.os.read_dir(dir), " "), "v.prom", "and there is no other")
local good
good, err = metrics.write(dir .. "/none/v.prom", "x")
ok(good == nil and tostring(err):match("none/v%.prom"), "a folder that is not there", tostring(err))
assert(vios.os.mkdir(dir .. "/folder"))
good, err = metrics.write(dir .. "/folder", "x")
ok(good == nil and tostring(err):match("/folder: "), "a folder in its place", tostring(err))
is(table.concat(vios.os.read_dir(dir), " "), "folder v.prom", "nothing is left of it")
vios.os.remove_tree(dir)

tap.finish()
