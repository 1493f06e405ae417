-- parallel.lua - several functions at once. Each runs as a coroutine; what it calls on a daemon, or
-- on another machine, runs on a thread (vios.tasks), and meanwhile the others go on.
--
-- Functions that compute wait for each other as they would one after the other.

local vios <const> = require("vios")

local parallel = {}

local AT_ONCE <const> = 64
local inside = setmetatable({}, { __mode = "k" }) -- coroutine -> true

-- Whether the caller is one of them: its calls are made with parallel.call().
function parallel.is_inside()
  return inside[coroutine.running()] == true
end

-- Within a function: makes the request of vios.tasks, `item` and `progress` being functions or nil,
-- and gives its result, or nil, err.
function parallel.call(request)
  return coroutine.yield(request)
end

-- What ssh asks, at the terminal; nil when there is none.
local function ask(prompt, echo)
  if vios.term.is_tty(0) and vios.term.is_tty(2) then
    return vios.term.ask(vios.term.escape(prompt):gsub("\\x0a", "\n"), not echo)
  end
end

parallel.ask = ask

local Run <const> = {}
Run.__index = Run

-- Goes on with a function until it waits for a call, or has ended.
function Run:step(work, ...)
  local told = table.pack(coroutine.resume(work.thread, ...))
  while told[1] and coroutine.status(work.thread) ~= "dead" do
    local request <const> = told[2]
    work.item, work.progress = request.item, request.progress
    request.items, request.progress = work.item ~= nil, work.progress ~= nil
    local number, err = self.tasks:start(request)
    if number then
      self.waiting[number] = work
      return
    end
    told = table.pack(coroutine.resume(work.thread, nil, err))
  end
  self.running = self.running - 1
  self.done(work.index, table.unpack(told, 1, math.max(told.n, 2)))
end

function Run:start_more(functions)
  while self.running < self.at_once and self.started < #functions do
    self.started = self.started + 1
    self.running = self.running + 1
    local work <const> = { index = self.started,
      thread = coroutine.create(functions[self.started]) }
    inside[work.thread] = true
    self:step(work)
  end
end

function Run:take(number, kind, ...)
  local work <const> = self.waiting[number]
  if kind == "done" then
    self.waiting[number] = nil
    self:step(work, ...)
  elseif kind == "ask" then
    self.tasks:answer(number, ask(...))
  elseif work[kind](...) == false then
    work[kind] = function() end
  end
end

-- Runs the functions, `at_once` of them at a time (64), and says done(index, true, ...) with what
-- each returned, or done(index, false, what it raised), as they end.
function parallel.each(functions, done, at_once)
  local tasks <close> = vios.tasks.new()
  local run <const> = setmetatable({ tasks = tasks, waiting = {}, running = 0, started = 0,
    done = done, at_once = math.min(at_once or AT_ONCE, 256) }, Run)
  run:start_more(functions)
  while run.running > 0 do
    run:take(tasks:next())
    run:start_more(functions)
  end
end

-- vios.parallel{ function, ... }: a list of what each returned first, and nil; or that list and a
-- table of errors by their index, when some failed.
function parallel.run(functions, options)
  local results, failed = {}, nil
  local function done(index, ok, value, err)
    results[index] = ok and value or nil
    local problem = not ok and value or (value == nil and err)
    if problem then
      failed = failed or {}
      failed[index] = problem
    end
  end
  parallel.each(functions, done, options and options.at_once)
  return results, failed
end

return parallel
