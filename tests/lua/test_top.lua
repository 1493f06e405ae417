-- Proves: the frame of top is what its object says, within the size of the terminal; only lines
-- that differ are sent; rates come from two looks; keys are told apart however their bytes arrive.

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
local ok <const>, is <const> = tap.ok, tap.is

local data <const> = require("vios.top_data")
local frame <const> = require("vios.top_frame")
local top <const> = require("vios.top")

local lists <const> = {
  cluster = { name = "prod", state = "DEGRADED", primary = "n1", epoch = 7 },
  nodes = {
    { name = "n1", state = "up", role = "member", since = "2026-01-02T03:04:05.678Z",
      page_memory_bytes = 384 << 20, page_memory_used_bytes = 128 << 20 },
    { name = "n2", state = "down", role = "witness", since = "2026-01-02T03:04:06.000Z" },
  },
  lpars = {
    { name = "web1", state = "running", node = "n1", memory_mib = 128, generation = 3 },
    { name = "db", state = "running", node = "n1", memory_mib = 2048, generation = 12 },
    { name = "日本\27", state = "stopped", node = "", memory_mib = 128, generation = 1 },
  },
  paging = {
    { lpar = "web1", uuid = "u1", state = "OK", node = "n1", pages_in = 100, pages_out = 1000 },
    { lpar = "db", uuid = "u2", state = "DOWN", node = "n2" },
  },
}

-- the object
local looks <const> = { gone = {} }
local snapshot = data.join(lists, looks, 5000)
is(snapshot.lpars[1].pages_in_per_s, nil, "one look gives no rate")
is(looks.gone, nil, "a device that is gone is forgotten")
lists.paging[1].pages_in, lists.paging[1].pages_out = 140, 1010
snapshot = data.join(lists, looks, 9000)
is(snapshot.lpars[1].pages_in_per_s, 10, "two give one: pages in")
is(snapshot.lpars[1].pages_out_per_s, 3, "pages out, rounded")
is(snapshot.lpars[2].paging, "DOWN", "a device that nobody counts has a state only")

-- rates
local seen <const> = {}
local function rate(ms, pages_in)
  return (data.rates(seen, { ms = ms, pages_in = pages_in, pages_out = 0 }))
end
rate(0, 0)
is(rate(500, 0), 0, "half a second after the first look")
is(rate(1000, 1000), 1000, "a rate is over all looks")
is(rate(2000, 1000), 500, "of the last two seconds")
is(rate(3000, 1000), 0, "and not of those before")
ok(#seen <= 4, "which are forgotten")
is(rate(4000, 5), nil, "counters that began anew give no rate")
is(rate(4000, 5), nil, "nor do two looks at once")
is(rate(5000, 25), 20, "they count from there on")

-- the frame
local function lines_of(view)
  view.globals, view.sort = { color = view.color or "never" }, view.sort or "name"
  return frame.lines(snapshot, view)
end
local function text_of(view)
  return table.concat((lines_of(view)), "\n")
end
is(text_of({}), [[
cluster prod  DEGRADED  primary n1, epoch 7
nodes: 1 down, 1 up; LPARs: 2 running, 1 stopped

NODE  STATE  ROLE     SINCE                 PAGE_MEMORY
n1    up     member   2026-01-02T03:04:05Z  128M of 384M
n2    down   witness  2026-01-02T03:04:06Z

LPAR      STATE    NODE  MEMORY  GENERATION  PAGING  PAGES_IN/S  PAGES_OUT/S
db        running  n1    2G      12          DOWN
web1      running  n1    128M    3           OK      10          3
日本\x1b  stopped        128M    1]], "all of it, once")
local function names(sort)
  local found = {}
  for i, lpar in ipairs(frame.sorted(snapshot.lpars, sort)) do
    found[i] = lpar.name:match("%a*")
  end
  return table.concat(found, " ")
end
is(names("paging"), "web db ", "sorted by paging rate")
is(names("memory"), "db web ", "by memory, and those that are equal by name")
ok(text_of({ color = "always" }):find("\27[31mdown\27[0m   witness", 1, true),
  "a state in its colour takes no more cells")

local small <const> = { lines = 8, columns = 12, status = "every 2 s", offset = 0 }
local lines <const>, offset <const> = lines_of(small)
is(#lines, 8, "as many lines as the terminal has")
is(offset, 0, "not scrolled")
for _, line in ipairs(lines) do
  ok(vios.term.text_width(line) <= 12, "no line is wider: " .. line)
end
is(lines[3], "every 2 s", "the status below the head")
small.offset = 99
local scrolled <const>, at <const> = lines_of(small)
is(scrolled[8], "日本\\x1b  st", "scrolled to the end, and not beyond")
is(at, 4, "by so many lines")
small.columns = 3
is(lines_of(small)[8], "日", "half a wide character is not shown")
small.lines = 2
is(#lines_of(small), 2, "a terminal of two lines")
ok(text_of({ help = true, lines = 24, columns = 80 }):find("quit", 1, true), "help")
is(text_of({ clock = "10:00" }):match("[^\n]*"),
  "cluster prod  DEGRADED  primary n1, epoch 7  10:00", "the time")
snapshot.primary, snapshot.lpars = "", {}
ok(text_of({}):find("no primary, epoch 7\nnodes: 1 down, 1 up; LPARs: none\n", 1, true),
  "no primary, no LPARs")

-- what is sent
is(frame.difference({ "a", "b" }, { "a", "b" }), "", "nothing changed, nothing sent")
is(frame.difference({ "a", "b", "c" }, { "a", "x" }), "\27[2;1H\27[2Kx\27[3;1H\27[2K",
  "the lines that differ")

-- keys
local function keys(typed)
  local found <const>, rest <const> = top.keys(typed)
  return table.concat(found, " ") .. "|" .. rest:gsub("\27", "ESC")
end
is(keys("sq"), "sort quit|", "two letters")
is(keys("\27[A\27[6~\27OB"), "up page_down down|", "arrows and pages")
is(keys("h\27["), "help|ESC[", "the begin of a key waits for the rest")
is(keys("\27"), "|ESC", "so does the escape alone")
is(keys("\27q"), "quit|", "which is nothing before another key")
is(keys("\27[1;5Cx\xff"), "|", "others are left out")
is(keys("\27[" .. ("1"):rep(20)), "|", "what is no key's begin is not waited for")

-- intervals
is(top.next_interval(2000, "longer"), 5000, "longer")
is(top.next_interval(3000, "shorter"), 2000, "shorter")
is(top.next_interval(200, "shorter"), 200, "not below")
is(top.next_interval(60000, "longer"), 60000, "not above")
is(top.next_interval(60000, "next"), 500, "the next goes round")
tap.finish()
