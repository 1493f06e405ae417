-- table.lua - vios.table: what scripts do with the lists that commands return, such as
--
--   local t <const> = vios.table
--   local down <const> = t.where(assert(vios.node.list()), { state = { "down", "suspect" } })
--   print(table.concat(t.values(down, "name"), ", "))
--
-- A list is a table of objects, each with fields. Nothing here changes a list: each function
-- returns a new one, of the same objects (select: of new ones). A field that an object does not
-- have is nil there, as what is null in JSON. Misuse raises: a list that is none, a field that is
-- no name, and one that no object has but that looks like one they have.

local json <const> = require("vios.json")

local lists = {}

local HERE <const> = debug.getinfo(1, "S").source

-- Raises for who called a function of this file, with the place of that call.
local function fail(what, message, ...)
  local level = 2
  local caller = debug.getinfo(level, "S")
  while caller and caller.source == HERE do
    level = level + 1
    caller = debug.getinfo(level, "S")
  end
  error(("vios.table.%s: " .. message):format(what, ...), level)
end

-- `what` is the function that was called.
local function check_list(what, list)
  if type(list) ~= "table" then
    fail(what, "a list is needed, and not %s", list == nil
      and "nil, as a call that failed returns: assert() shows why" or "a " .. type(list))
  end
  for index, object in ipairs(list) do
    if type(object) ~= "table" then
      fail(what, "element %d of the list is a %s, and not an object", index, type(object))
    end
  end
  if #list == 0 and next(list) ~= nil then
    fail(what, "this is one object, and not a list of them")
  end
end

local function names_in(list)
  local names, seen = {}, {}
  for _, object in ipairs(list) do
    for name in pairs(object) do
      if type(name) == "string" and not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names, seen
end

-- A field that is null everywhere is missing everywhere, so only what looks mistyped is refused.
local function check_field(what, list, field)
  if type(field) ~= "string" then
    fail(what, "the name of a field is needed, and not %s",
      field == nil and "nil" or tostring(field))
  end
  local names <const>, seen <const> = names_in(list)
  local hint <const> = seen[field] and "" or require("vios.nearest").hint(field, names)
  if hint ~= "" then
    fail(what, "no object has the field \"%s\"%s", field, hint)
  end
end

local function check(what, list, field)
  check_list(what, list)
  check_field(what, list, field)
end

-- The objects with only these fields.
function lists.select(list, field, ...)
  local fields <const> = { field, ... }
  check("select", list, field)
  for _, name in ipairs(fields) do
    check_field("select", list, name)
  end
  local picked <const> = json.array({})
  for index, object in ipairs(list) do
    picked[index] = {}
    for _, name in ipairs(fields) do
      picked[index][name] = object[name]
    end
  end
  return picked
end

-- A function that says whether an object has these values; one of them, where a list is wanted.
local function matcher(list, wanted)
  local sets <const> = {}
  for field, value in pairs(wanted) do
    check_field("where", list, field)
    sets[field] = {}
    for _, each in ipairs(type(value) == "table" and value or { value }) do
      sets[field][each] = true
    end
  end
  return function(object)
    for field, set in pairs(sets) do
      local value = object[field]
      if value == nil or not set[value] then
        return false
      end
    end
    return true
  end
end

-- Those that fit: for which a function says so, or whose fields are as in a table: { state = "up" }
-- or { state = { "down", "suspect" } }.
function lists.where(list, wanted)
  check_list("where", list)
  if type(wanted) ~= "table" and type(wanted) ~= "function" then
    fail("where", "a function or a table of fields is needed, and not %s", type(wanted))
  end
  local fits <const> = type(wanted) == "function" and wanted or matcher(list, wanted)
  local found <const> = json.array({})
  for _, object in ipairs(list) do
    if fits(object) then
      found[#found + 1] = object
    end
  end
  return found
end

-- Numbers before text, and what is missing last, whichever way is sorted.
local RANK <const> = { number = 1, string = 2 }

local function is_before(a, b, descending)
  if type(a) ~= type(b) then
    return (RANK[type(a)] or 3) < (RANK[type(b)] or 3)
  elseif not RANK[type(a)] then
    return false
  elseif descending then
    return a > b
  end
  return a < b
end

-- By a field, "asc" (the default) or "desc"; of equals the first stays first.
function lists.sort(list, field, direction)
  check("sort", list, field)
  if direction ~= nil and direction ~= "asc" and direction ~= "desc" then
    fail("sort", 'the direction is "asc" or "desc", and not "%s"', tostring(direction))
  end
  local places <const>, order <const> = {}, {}
  for index, object in ipairs(list) do
    places[index] = index
    order[index] = object[field]
  end
  table.sort(places, function(a, b)
    local x <const>, y <const> = order[a], order[b]
    if is_before(x, y, direction == "desc") then
      return true
    end
    return not is_before(y, x, direction == "desc") and a < b
  end)
  local sorted <const> = json.array({})
  for index, place in ipairs(places) do
    sorted[index] = list[place]
  end
  return sorted
end

-- A table with a list for each value of the field; the list of "" has those without it.
function lists.group(list, field)
  check("group", list, field)
  local groups <const> = {}
  for _, object in ipairs(list) do
    local value = object[field]
    if type(value) == "table" then
      fail("group", 'the field "%s" is no single value', field)
    elseif value == nil then
      value = ""
    end
    groups[value] = groups[value] or json.array({})
    table.insert(groups[value], object)
  end
  return groups
end

-- The values of a field, without those that are missing: of names a list for table.concat().
function lists.values(list, field)
  check("values", list, field)
  local values <const> = json.array({})
  for _, object in ipairs(list) do
    values[#values + 1] = object[field]
  end
  return values
end

-- The sum of a field; what is missing counts nothing.
function lists.sum(list, field)
  local total = 0
  for _, value in ipairs(lists.values(list, field)) do
    if type(value) ~= "number" then
      fail("sum", 'the field "%s" is no number: %s', field, tostring(value))
    end
    total = total + value
  end
  return total
end

return lists
