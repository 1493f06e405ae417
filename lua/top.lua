-- top.lua - the word `top`: the cluster on one screen, again and again, until a key ends it. Where
-- it cannot be a screen, it is printed once. What it shows is top_data.lua's, how top_frame.lua's.

local vios <const> = require("vios")
local data <const> = require("vios.top_data")
local frame <const> = require("vios.top_frame")
local printer <const> = require("vios.printer")
local term <const> = vios.term

local top = {}

local INTERVAL_MS <const> = 2000
local INTERVAL_MIN_MS <const>, INTERVAL_MAX_MS <const> = 200, 3600 * 1000
local STEPS_MS <const> = { 500, 1000, 2000, 5000, 10000, 30000, 60000 } -- that keys choose from
local LINES <const>, COLUMNS <const> = 24, 80 -- of a terminal that does not say
-- After these the daemon is away, and may come back.
local AWAY <const> = { unreachable = true, io = true, timeout = true }

-- Another screen than the one where the shell's lines are, without a cursor; and back.
local ENTER <const>, LEAVE <const> = "\27[?1049h\27[?25l\27[2J", "\27[?25h\27[?1049l"

-- --- once ---

-- Scripts rely on the fields: what is not known is null, and not left out.
local FIELDS <const> = {
  nodes = { "name", "state", "role", "since", "page_memory_bytes", "page_memory_used_bytes" },
  lpars = { "name", "state", "node", "memory_mib", "generation", "paging", "pages_in_per_s",
    "pages_out_per_s" },
}

local function filled(snapshot)
  for member, names in pairs(FIELDS) do
    for _, object in ipairs(snapshot[member]) do
      for _, name in ipairs(names) do
        object[name] = object[name] == nil and vios.json.null or object[name]
      end
    end
  end
  return snapshot
end

local function text(globals)
  return function(snapshot)
    return table.concat(frame.lines(snapshot, { globals = globals, sort = "name" }), "\n")
  end
end

-- Two looks, so that there are rates; one where nothing pages.
local function print_once(interval_ms, globals)
  local memory <const> = data.memory()
  local snapshot, err = data.look(memory, globals)
  if snapshot and not err and next(memory.looks) then
    local slept
    slept, err = vios.os.sleep(interval_ms / 1000)
    if slept then
      snapshot, err = data.look(memory, globals)
    end
  end
  if not snapshot or err then
    return nil, err
  end
  local row <const> = { columns = { "time", "name", "state", "primary", "epoch", "nodes",
    "lpars" }, text = text(globals) }
  if globals.json then
    filled(snapshot).time = os.date("!%Y-%m-%dT%H:%M:%SZ")
  end
  local printed
  printed, err = printer.print(row, snapshot, globals)
  return printed and 0, err
end

-- --- keys ---

local NAMES <const> = {
  ["\27[A"] = "up", ["\27OA"] = "up", k = "up", ["\27[B"] = "down", ["\27OB"] = "down", j = "down",
  ["\27[5~"] = "page_up", ["\27[6~"] = "page_down", [" "] = "page_down",
  ["\27[H"] = "home", ["\27OH"] = "home", ["\27[1~"] = "home", g = "home",
  ["\27[F"] = "end", ["\27OF"] = "end", ["\27[4~"] = "end", G = "end",
  ["+"] = "longer", ["="] = "longer", ["-"] = "shorter", d = "next", s = "sort", h = "help",
  ["?"] = "help", q = "quit", Q = "quit", ["\4"] = "quit", ["\f"] = "redraw",
}
local SEQUENCE_MAX <const> = 8 -- bytes of a key; what is longer is none

-- The names of the keys in what was typed, and what is behind them: the begin of one.
function top.keys(typed)
  local found, at = {}, 1
  while at <= #typed do
    local rest <const> = typed:sub(at)
    if #rest < SEQUENCE_MAX and rest:match("^\27[%[O]?[%d;]*$") then
      return found, rest
    end
    local key <const> = rest:match("^\27[%[O][%d;]*[%a~]") or rest:sub(1, 1)
    found[#found + 1] = NAMES[key]
    at = at + #key
  end
  return found, ""
end

-- The interval that `key` makes of this one.
function top.next_interval(interval_ms, key)
  local longer, shorter
  for _, step in ipairs(STEPS_MS) do
    if step > interval_ms then
      longer = longer or step
    elseif step < interval_ms then
      shorter = step
    end
  end
  if key == "longer" then
    return longer or interval_ms
  elseif key == "shorter" then
    return shorter or interval_ms
  end
  return longer or STEPS_MS[1]
end

local function next_sort(sort)
  for i, each in ipairs(frame.SORTS) do
    if each == sort then
      return frame.SORTS[i % #frame.SORTS + 1]
    end
  end
end

-- --- the screen ---

local Screen <const> = {}
Screen.__index = Screen

local function clock()
  return os.date("!%Y-%m-%d %H:%M:%SZ")
end

local function new_screen(snapshot, memory, interval_ms, globals)
  local screen <const> = setmetatable({ snapshot = snapshot, memory = memory, shown = {},
    interval_ms = interval_ms, pending = "",
    view = { globals = globals, sort = frame.SORTS[1], offset = 0, clock = clock() } }, Screen)
  screen:resize()
  return screen
end

function Screen:resize()
  self.view.lines, self.view.columns = term.size()
  self.view.lines, self.view.columns = self.view.lines or LINES, self.view.columns or COLUMNS
  self.shown = nil
end

function Screen:status()
  if self.away then
    return self.away
  end
  return ("every %g s, by %s; h: help, q: quit"):format(self.interval_ms / 1000, self.view.sort)
end

-- true, or nil, err when there is no terminal any more.
function Screen:draw()
  self.view.status = self:status()
  local lines
  lines, self.view.offset = frame.lines(self.snapshot, self.view)
  local changed <const> = frame.difference(self.shown or {}, lines)
  local clear <const> = self.shown and "" or "\27[2J"
  self.shown = lines
  if clear .. changed == "" then
    return true
  end
  return term.write(clear .. changed)
end

-- Asks again. What cannot be had stays as it was seen last, and the screen says since when.
function Screen:refresh()
  local snapshot <const>, err <const> = data.look(self.memory, self.view.globals)
  self.snapshot = snapshot or self.snapshot
  if err and err.code == "cancelled" then
    return
  end
  self.away_since = err and (self.away_since or clock())
  self.away = err and ("%s%s, since %s: %s"):format(snapshot and "not all is new: " or "",
    AWAY[err.code] and "unreachable" or err.code, self.away_since, err.message)
  self.view.clock = clock()
end

local SCROLL <const> = { up = -1, down = 1, home = -math.maxinteger, ["end"] = math.maxinteger }

-- What a key does; false: it ends.
function Screen:key(key)
  local view <const> = self.view
  local page <const> = math.max(view.lines - 5, 1)
  if key == "quit" then
    return false
  elseif key == "sort" then
    view.sort = next_sort(view.sort)
  elseif key == "help" then
    view.help, view.offset = not view.help, 0
  elseif key == "redraw" then
    self:resize()
  elseif key == "longer" or key == "shorter" or key == "next" then
    self.interval_ms = top.next_interval(self.interval_ms, key)
  elseif key == "page_up" or key == "page_down" then
    view.offset = view.offset + (key == "page_up" and -page or page)
  elseif key == "home" or key == "end" then
    view.offset = SCROLL[key]
  else
    view.offset = view.offset + SCROLL[key]
  end
  return true
end

function Screen:typed(bytes)
  local keys
  keys, self.pending = top.keys(self.pending .. bytes)
  for _, key in ipairs(keys) do
    if not self:key(key) then
      return false
    end
  end
  return true
end

-- Until a key or a signal ends it: the exit status; nil, err.
function Screen:run()
  local looked_ms = vios.os.now_ms()
  while true do
    local drawn <const>, err <const> = self:draw()
    if not drawn then
      return nil, err
    end
    local left_ms <const> = looked_ms + self.interval_ms - vios.os.now_ms()
    local what <const>, bytes <const> = term.wait(math.max(left_ms, 0))
    if what == "interrupt" then
      return 130
    elseif what == "end" or what == "keys" and not self:typed(bytes) then
      return 0
    elseif what == "resize" then
      self:resize()
    elseif not what and vios.os.now_ms() - looked_ms >= self.interval_ms then
      looked_ms = vios.os.now_ms()
      self:refresh()
    end
  end
end

local function is_screen()
  local kind <const> = os.getenv("TERM") or "dumb"
  return term.is_tty(0) and term.is_tty(1) and kind ~= "dumb"
end

local function live(interval_ms, globals)
  local memory <const> = data.memory()
  local snapshot <const>, missing <const> = data.look(memory, globals)
  if not snapshot then
    return nil, missing
  end
  local screen <const> = new_screen(snapshot, memory, interval_ms, globals)
  local entered, status, err
  io.stdout:flush()
  vios.os.finally(function()
    entered, err = term.raw(true)
    if entered then
      term.write(ENTER)
      status, err = screen:run()
    end
  end, function()
    if entered then
      term.write(LEAVE)
    end
    term.raw(false)
  end)
  return status, err
end

-- The word: its exit status; nil, err.
function top.run(row, parameters, globals)
  local sent, err = require("vios.execute").parameters(row, parameters)
  if not sent then
    return nil, err
  end
  local nodes
  nodes, err = require("vios.connection").targets(globals)
  if nodes and #nodes > 1 then
    err = vios.error("usage", "one node is enough: each knows the whole cluster",
      { object = "--on", hint = "name one" })
  end
  local interval_ms <const> = sent.interval and vios.parse.duration(sent.interval) or INTERVAL_MS
  if interval_ms < INTERVAL_MIN_MS or interval_ms > INTERVAL_MAX_MS then
    err = vios.error("usage", "needs 200ms to 1h", { object = "--interval" })
  end
  if err then
    return nil, err
  end
  local once <const> = sent.once or globals.json or globals.fmt or globals.fmt2 or globals.field
    or not is_screen()
  return (once and print_once or live)(interval_ms, globals)
end

return top
