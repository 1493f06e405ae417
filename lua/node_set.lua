-- node_set.lua - many nodes in few words, and back:
--
--   n1,n2         names             n[1-32]    n1 to n32       n[01-10]   n01 to n10
--   r[1,3]n[1-4]  n1 to n4 of r1 and r3        @storage   a group     !n3   all but n3
--
-- What begins with "!" is left out of all the rest; when there is no rest, of @all. Groups are the
-- lines "NAME: NODES" of /etc/vios/groups and ~/.config/vios/groups; @all and @primary are the
-- cluster's. A name may be USER@HOST or ssh:HOST, see connection.lua.

local vios <const> = require("vios")

local node_set = {}

local NAMES_MAX <const> = 4096
local TEXT_MAX <const> = 65536
local GROUP_DEPTH_MAX <const> = 8 -- of groups of groups

local function usage(text, why, hint)
  return nil, vios.error("usage", why,
    { object = '"' .. text .. '"', hint = hint or "give names, as n1,n[2-5], !n3 or @all" })
end

-- The parts between the commas that are in no brackets.
local function split(text)
  local parts, from, depth = {}, 1, 0
  for at, mark in text:gmatch("()([%[%],])") do
    if mark == "," and depth == 0 then
      parts[#parts + 1] = text:sub(from, at - 1)
      from = at + 1
    elseif mark == "[" then
      depth = depth + 1
    elseif mark == "]" then
      depth = depth - 1
    end
    if depth < 0 or depth > 1 then
      return usage(text, "its brackets do not match")
    end
  end
  if depth ~= 0 then
    return usage(text, "its brackets do not match")
  end
  parts[#parts + 1] = text:sub(from)
  return parts
end

-- "1,3-5" -> { "1", "3", "4", "5" }, of the width that the first number of a range has.
local function numbers_of(text)
  local numbers = {}
  for part in (text .. ","):gmatch("([^,]*),") do
    local first, last = part:match("^(%d+)%-(%d+)$")
    first = first or part:match("^%d+$")
    local from, to = math.tointeger(tonumber(first)), math.tointeger(tonumber(last or first))
    if not from or not to or #first > 9 or #(last or "") > 9 or from > to then
      return usage("[" .. text .. "]", "it is no range", "give numbers, as [1-4,7]")
    elseif #numbers + to - from >= NAMES_MAX then
      return usage("[" .. text .. "]", "more than " .. NAMES_MAX .. " names", "say fewer")
    end
    for number = from, to do
      numbers[#numbers + 1] = string.format("%0" .. #first .. "d", number)
    end
  end
  return numbers
end

-- The names that one part without a comma outside brackets stands for.
local function names_of(part)
  local before, inside, behind = part:match("^(.-)%[(.-)%](.*)$")
  if not before then
    if not part:match("^[%w][%w._@:-]*$") or #part > 255 then
      return usage(part, "it is no name of a node")
    end
    return { part }
  end
  local numbers, err = numbers_of(inside)
  if not numbers then
    return nil, err
  end
  local names = {}
  for _, number in ipairs(numbers) do
    local more
    more, err = names_of(before .. number .. behind)
    if not more then
      return nil, err
    elseif #names + #more > NAMES_MAX then
      return usage(part, "more than " .. NAMES_MAX .. " names", "say fewer")
    end
    table.move(more, 1, #more, #names + 1, names)
  end
  return names
end

local expand

local function of_group(part, group, depth)
  if depth >= GROUP_DEPTH_MAX then
    return usage(part, "groups of groups, and so on for ever")
  end
  local text, err = group(part:sub(2))
  if type(text) ~= "string" then
    return text, err
  end
  return expand(text, group, depth + 1)
end

local function are_all_left_out(parts)
  for _, part in ipairs(parts) do
    if part:sub(1, 1) ~= "!" then
      return false
    end
  end
  return true
end

-- Puts the names of one part into the set, and into the list behind it.
local function take(part, group, depth, set, list)
  local more, err
  if part:sub(1, 1) == "@" then
    more, err = of_group(part, group, depth)
  else
    more, err = names_of(part)
  end
  for _, name in ipairs(more or {}) do
    if not set[name] then
      set[name] = true
      list[#list + 1] = name
    end
  end
  return more, err
end

function expand(text, group, depth)
  local parts, err = split(text)
  if not parts then
    return nil, err
  end
  local wanted, left_out, names = {}, {}, {}
  if are_all_left_out(parts) then
    table.insert(parts, 1, "@all")
  end
  for _, part in ipairs(parts) do
    local more
    if part:sub(1, 1) == "!" then
      more, err = take(part:sub(2), group, depth, left_out, {})
    else
      more, err = take(part, group, depth, wanted, names)
    end
    if not more then
      return nil, err
    end
  end
  local kept = {}
  for _, name in ipairs(names) do
    if not left_out[name] then
      kept[#kept + 1] = name
    end
  end
  if #kept > NAMES_MAX then
    return usage(text, "more than " .. NAMES_MAX .. " names", "say fewer")
  end
  return kept
end

-- The names that `text` stands for, each once, in its order; nil, err. `group(name)` gives a
-- group's text, or a list of names, or nil, err.
function node_set.expand(text, group)
  if #text > TEXT_MAX then
    return nil, vios.error("usage", "it is longer than " .. TEXT_MAX .. " bytes",
      { object = "the nodes", hint = "name a group" })
  end
  return expand(text, group, 0)
end

-- The text of a group in the files; nil, err.
function node_set.group(name)
  local home <const> = os.getenv("XDG_CONFIG_HOME") or (os.getenv("HOME") or "") .. "/.config"
  for _, path in ipairs({ home .. "/vios/groups", "/etc/vios/groups" }) do
    for line in (vios.os.read_file(path) or ""):gmatch("[^\n]+") do
      local its, text = line:match("^%s*([%w._-]+)%s*:%s*(.-)%s*$")
      if its == name then
        return (text:gsub("%s*,%s*", ","):gsub("%s+", ","))
      end
    end
  end
  return nil, vios.error("not_found", "there is no such group",
    { object = "@" .. name, hint = "see ~/.config/vios/groups; @all and @primary are built in" })
end

-- Of names that differ in one number: "7", or "[1-3,7]"; "" when they have none.
local function ranges_of(kind)
  local ranges, numbers, at = {}, kind.numbers, 1
  local function digits(number)
    return string.format("%0" .. math.max(kind.width, 1) .. "d", number)
  end
  table.sort(numbers)
  while numbers[at] do
    local first, last = numbers[at], numbers[at]
    while numbers[at + 1] and numbers[at + 1] <= last + 1 do
      at = at + 1
      last = numbers[at]
    end
    ranges[#ranges + 1] = first == last and digits(first) or digits(first) .. "-" .. digits(last)
    at = at + 1
  end
  local text <const> = table.concat(ranges, ",")
  return text:match("[,-]") and "[" .. text .. "]" or text
end

-- "n1", "n2", "n3", "x" -> "n[1-3],x": in the order of the first of each kind.
function node_set.fold(names)
  local kinds, of = {}, {}
  for _, name in ipairs(names) do
    local before, number, behind = name:match("^(.-)(%d+)([^%d]*)$")
    if not before or #number > 9 then
      before, number, behind = name, nil, ""
    end
    local width <const> = number and number:sub(1, 1) == "0" and #number or 0
    local key <const> = before .. "\0" .. behind .. "\0" .. (number and width or "-")
    if not of[key] then
      of[key] = { before = before, behind = behind, width = width, numbers = {} }
      kinds[#kinds + 1] = of[key]
    end
    table.insert(of[key].numbers, number and tonumber(number) or nil)
  end
  local parts = {}
  for i, kind in ipairs(kinds) do
    parts[i] = kind.before .. ranges_of(kind) .. kind.behind
  end
  return table.concat(parts, ",")
end

return node_set
