-- openmetrics.lua - reads OpenMetrics text as strictly as its specification lets, as far as vios
-- uses it: gauges and counters. A Lua test loads it as loadfile(...)("module"), which gives a
-- function: the samples by their names with labels, as numbers; or nil and what is wrong, with its
-- line. Others run `vios tests/lua/openmetrics.lua FILE`: the samples, sorted, or exit status 1.

local NAME <const> = "[a-zA-Z_:][a-zA-Z0-9_:]*"
local SUFFIXES <const> = { gauge = "", counter = "_total" }

local Reader = {}
Reader.__index = Reader

local function wrong(...)
  error({ wrong = string.format(...) }, 0)
end

-- A family begins with the first line that names it, and never again.
function Reader:begin(name)
  if self.family and self.family.name == name then
    return self.family
  elseif self.seen[name] then
    wrong("%s is not in one piece", name)
  end
  self.seen[name] = true
  self.family = { name = name, has = {} }
  return self.family
end

function Reader:metadata(line)
  local what <const>, name <const>, text <const> =
    line:match("^# (%u+) (" .. NAME .. ") (.+)$")
  if not what then
    wrong("this is no TYPE, UNIT or HELP")
  end
  local family <const> = self:begin(name)
  if family.has[what] then
    wrong("a second %s", what)
  elseif family.sampled then
    wrong("%s behind a sample", what)
  end
  family.has[what] = true
  if what == "TYPE" then
    family.type = SUFFIXES[text] and text or wrong("type %s", text)
  elseif what == "UNIT" then
    family.unit = text:match("^[a-z_]+$") or wrong("unit %s", text)
    if name:sub(-#text - 1) ~= "_" .. text then
      wrong("%s does not end with its unit %s", name, text)
    end
  elseif what ~= "HELP" then
    wrong("%s is none of TYPE, UNIT and HELP", what)
  elseif text:gsub('\\[\\n"]', ""):find("\\", 1, true) then
    wrong("a backslash that escapes nothing")
  end
end

-- The labels within the braces, each name once; what stands behind them.
local function labels(text)
  local names <const>, at = {}, 1
  while true do
    local name <const>, from <const> = text:match('^([a-zA-Z_][a-zA-Z0-9_]*)="()', at)
    if not name then
      wrong("no label at column %d of %s", at, text)
    elseif names[name] then
      wrong("the label %s twice", name)
    end
    names[name] = true
    at = from
    while text:sub(at, at) ~= '"' do
      local one <const> = text:match('^\\[\\n"]', at) or text:match('^[^\\"]', at)
      at = at + #(one or wrong("the value of %s is not escaped well", name))
    end
    local separator <const> = text:sub(at + 1, at + 1)
    at = at + 2
    if separator == "}" then
      return text:sub(at)
    elseif separator ~= "," then
      wrong("no , between labels")
    end
  end
end

function Reader:sample(line)
  local name <const>, rest = line:match("^(" .. NAME .. ")(.*)$")
  if not name then
    wrong("this is no sample")
  end
  local inner <const> = rest:match("^{(.*)$")
  local value <const> = inner and labels(inner) or rest
  local number <const> = value:match("^ ([+-]?%d+%.?%d*[eE]?[+-]?%d*)$")
  if not tonumber(number) then
    wrong("this is no number:%s", value)
  end
  local family <const> = self.family
  if not family or not family.type or name ~= family.name .. SUFFIXES[family.type] then
    wrong("%s is of no family that was begun", name)
  elseif not family.has.HELP then
    wrong("%s has no HELP", family.name)
  elseif family.type == "counter" and tonumber(number) < 0 then
    wrong("a counter below 0")
  end
  local key <const> = line:sub(1, #line - #value)
  if self.samples[key] then
    wrong("%s twice", key)
  end
  self.samples[key] = tonumber(number)
  family.sampled = true
end

local function read(text)
  local reader <const> = setmetatable({ seen = {}, samples = {} }, Reader)
  local number, ended = 0, false
  if not utf8.len(text) or text:sub(-1) ~= "\n" then
    return nil, "this is no text, or its last line has no end"
  end
  for line in text:gmatch("([^\n]*)\n") do
    number = number + 1
    local good, why = pcall(function()
      if ended then
        wrong("there is something behind the end")
      elseif line == "# EOF" then
        ended = true
      elseif line:sub(1, 1) == "#" then
        reader:metadata(line)
      else
        reader:sample(line)
      end
    end)
    if not good then
      why = type(why) == "table" and why.wrong or why
      return nil, ("line %d: %s: %s"):format(number, why, line)
    end
  end
  if not ended then
    return nil, "the end is missing"
  end
  return reader.samples
end

if ... == "module" then
  return read
end

local samples <const>, err <const> = read(assert(vios.os.read_file(arg[1])))
if not samples then
  io.stderr:write(err, "\n")
  os.exit(1)
end
local lines <const> = {}
for name, value in pairs(samples) do
  lines[#lines + 1] = ("%s %g"):format(name, value)
end
table.sort(lines)
print(table.concat(lines, "\n"))
