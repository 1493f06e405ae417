-- printer.lua - results as a table by display width, as JSON, or with --fmt.
--
-- A list is a table with a line for each object; one object is a line for each field. Control
-- bytes are escaped, so that a line of output is a line. Colour only on a terminal.

local vios <const> = require("vios")
local term <const> = vios.term

local printer = {}

local COLORS <const> = {
  ok = 32, up = 32, running = 32, current = 32, done = 32,
  degraded = 33, suspect = 33, filling = 33, paused = 33, drained = 33, lost = 31,
  down = 31, failed = 31, panicked = 31, watchdog = 31,
}

local function use_color(globals)
  local when = globals.color or "auto"
  if when ~= "auto" then
    return when == "always"
  end
  local none = os.getenv("NO_COLOR")
  return term.is_tty(1) and os.getenv("TERM") ~= "dumb" and not (none and none ~= "")
end

-- A state in its colour, where there are colours.
local function paint(text, globals)
  local color = COLORS[text:lower()]
  if color and use_color(globals) then
    return "\27[" .. color .. "m" .. text .. "\27[0m"
  end
  return text
end

local ITEM_WIDTH <const> = 10 -- of a field of a stream, at least: what comes later is not known

local UNITS <const> = { "K", "M", "G", "T", "P" }

-- 1610612736 -> "1.5G"; as it is below 1024.
function printer.size(bytes)
  local value, unit = bytes, ""
  for _, next_unit in ipairs(UNITS) do
    if value < 1024 then
      break
    end
    value, unit = value / 1024, next_unit
  end
  if unit == "" then
    return tostring(bytes)
  end
  local text = string.format("%.1f", value):gsub("%.0$", "")
  return text .. unit
end

local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

-- Any value as one line of text; nil is "".
local function flat(value, depth)
  if value == nil or value == vios.json.null then
    return ""
  elseif math.type(value) == "float" then
    return (string.format("%.3f", value):gsub("%.?0+$", ""))
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif depth > 3 then
    return "..."
  end
  local parts = {}
  if vios.json.is_array(value) then
    for _, element in ipairs(value) do
      parts[#parts + 1] = flat(element, depth + 1)
    end
    return table.concat(parts, ", ")
  end
  local name = value.node or value.name
  if name and value.state then -- a replica, a member
    return flat(name, depth) .. " " .. flat(value.state, depth)
  end
  for _, key in ipairs(sorted_keys(value)) do
    parts[#parts + 1] = key .. "=" .. flat(value[key], depth + 1)
  end
  return table.concat(parts, " ")
end

local function cell(value)
  return term.escape(flat(value, 0))
end

-- For people: sizes with their unit.
local function human(name, value)
  if math.type(value) == "integer" and name:match("_bytes$") then
    return printer.size(value)
  end
  return cell(value)
end

local function title(name, row)
  return row and row.titles and row.titles[name] or (name:gsub("_bytes$", ""):upper())
end

-- The fields to show of `rows`: those asked for, else the row's columns, else all.
local function fields_of(row, rows, globals)
  if globals.field then
    local fields = {}
    for name in globals.field:gmatch("[^,%s]+") do
      fields[#fields + 1] = name
    end
    return fields
  end
  if row and row.columns then
    return row.columns
  end
  local seen, fields = {}, {}
  for _, object in ipairs(rows) do
    for _, name in ipairs(type(object) == "table" and sorted_keys(object) or {}) do
      if not seen[name] then
        seen[name] = true
        fields[#fields + 1] = name
      end
    end
  end
  return fields
end

local function pad(text, width)
  return text .. string.rep(" ", math.max(0, width - term.text_width(text)))
end

printer.paint, printer.pad = paint, pad

local function print_lines(lines, widths, globals, indent)
  for number, line in ipairs(lines) do
    local parts = {}
    for i, text in ipairs(line) do
      local padded = i < #line and pad(text, widths[i]) or text
      if number > 1 and text ~= "" then
        padded = paint(text, globals) .. padded:sub(#text + 1)
      end
      parts[i] = padded
    end
    local before = indent and indent(number) or ""
    io.write(((before .. table.concat(parts, "  ")):gsub("%s+$", "")), "\n")
  end
end

-- `indent`, if given, is called with each line's number for what stands before it; `row` is of the
-- command, which may have titles.
local function print_table(rows, fields, globals, indent, row)
  local lines, widths = { {} }, {}
  for i, name in ipairs(fields) do
    lines[1][i] = title(name, row)
  end
  for _, object in ipairs(rows) do
    local line = {}
    for i, name in ipairs(fields) do
      line[i] = human(name, object[name])
    end
    lines[#lines + 1] = line
  end
  for _, line in ipairs(lines) do
    for i, text in ipairs(line) do
      widths[i] = math.max(widths[i] or 0, term.text_width(text))
    end
  end
  print_lines(lines, widths, globals, indent)
end

-- Objects within an object: the columns that the command's row gives them, if one of them has it.
local function nested_fields(row, name, list)
  local wanted = row and row.nested and row.nested[name]
  if not wanted or not vios.json.is_array(list) or type(list[1]) ~= "table" then
    return nil
  end
  local fields = {}
  for _, field in ipairs(wanted) do
    for _, object in ipairs(list) do
      if object[field] ~= nil and flat(object[field], 0) ~= "" then
        fields[#fields + 1] = field
        break
      end
    end
  end
  return fields
end

local function print_object(object, fields, globals, row)
  local width = 0
  for _, name in ipairs(fields) do
    width = math.max(width, #name)
  end
  for _, name in ipairs(fields) do
    local label = name:gsub("_bytes$", "")
    local inner = nested_fields(row, name, object[name])
    if inner then
      print_table(object[name], inner, globals, function(number)
        return pad(number == 1 and label or "", width) .. "  "
      end)
    else
      local text = human(name, object[name])
      io.write(((pad(label, width) .. "  " .. paint(text, globals)):gsub("%s+$", "")), "\n")
    end
  end
end

-- The fields of an object; then those of a list within it, for each of its elements, and once when
-- there is none.
local function values_of(object, fields, row)
  local inner <const> = row and row.repeated and object[row.repeated]
  local values = {}
  for _, name in ipairs(fields) do
    if not inner or object[name] ~= nil then
      values[#values + 1] = cell(object[name])
    end
  end
  for i = 1, inner and math.max(1, #inner) or 0 do
    for _, name in ipairs(fields) do
      if object[name] == nil then
        values[#values + 1] = cell((inner[i] or {})[name])
      end
    end
  end
  return values
end

local function print_delimited(rows, fields, globals, row)
  local delimiter = globals.fmt or globals.fmt2
  local empty = globals.fmt and " " or ""
  if globals.header then
    local titles = {}
    for i, name in ipairs(fields) do
      titles[i] = row and row.titles and title(name, row) or name
    end
    io.write(table.concat(titles, delimiter), "\n")
  end
  for _, object in ipairs(rows) do
    local parts = values_of(object, fields, row)
    for i, text in ipairs(parts) do
      parts[i] = text == "" and empty or text
    end
    io.write(table.concat(parts, delimiter), "\n")
  end
end

-- Only these fields, also of the objects in the list that `repeated` names, if it is given.
local function pick(object, fields, repeated)
  local picked = {}
  for _, name in ipairs(fields) do
    picked[name] = object[name]
  end
  if repeated then
    picked[repeated] = vios.json.array({})
    for i, inner in ipairs(object[repeated]) do
      picked[repeated][i] = pick(inner, fields)
    end
  end
  return picked
end

-- Scripts rely on the fields of a row: one that is not known is null, and not left out.
local function fill(fields, objects)
  for _, object in ipairs(objects) do
    for _, name in ipairs(type(object) == "table" and fields or {}) do
      if object[name] == nil then
        object[name] = vios.json.null
      end
    end
  end
end

local function print_json(row, result, globals, indent)
  local order = row and row.columns
  if order and type(result) == "table" and not row.repeated then
    fill(order, vios.json.is_array(result) and result or { result })
  end
  if globals.field then
    order = fields_of(row, {}, globals)
    if vios.json.is_array(result) then
      local picked = vios.json.array({})
      for i, object in ipairs(result) do
        picked[i] = pick(object, order, row and row.repeated)
      end
      result = picked
    elseif type(result) == "table" then
      result = pick(result, order)
    end
  end
  local text, err = vios.json.encode(result, { indent = indent, order = order })
  if not text then
    return nil, err
  end
  io.write(text, "\n")
  return true
end

local function has_field(rows, name)
  for _, object in ipairs(rows) do
    if type(object) == "table" and object[name] ~= nil then
      return true
    end
  end
  return false
end

-- The fields that may be asked for, where the row says which: PowerVM's, which it always has.
local function declared(row)
  if not (row and row.powervm) then
    return nil
  end
  local more <const> = row.more or {}
  return table.move(more, 1, #more, #row.columns + 1, { table.unpack(row.columns) })
end

-- A field that nobody has is a mistake, and not an empty column.
local function check_fields(row, rows, globals)
  local names <const> = declared(row)
  if not globals.field or (#rows == 0 and not names) then
    return true
  end
  local known <const> = names or fields_of(nil, rows, {})
  for _, name in ipairs(fields_of(nil, rows, globals)) do
    local found = not names and has_field(rows, name)
    for _, each in ipairs(names or {}) do
      found = found or each == name
    end
    if not found then
      return nil, vios.error("usage", 'no field "' .. name .. '"'
        .. require("vios.nearest").hint(name, known),
        { hint = "there are " .. table.concat(known, ", ") })
    end
  end
  return true
end

-- Objects only? Lists of plain values are printed one a line.
local function print_values(values)
  for _, value in ipairs(values) do
    io.write(cell(value), "\n")
  end
end

local function all_columns(row, object)
  local seen, fields = {}, {}
  for _, name in ipairs(row and row.told_already or {}) do
    seen[name] = true
  end
  for _, name in ipairs(row and row.columns or {}) do
    if object[name] ~= nil then
      seen[name] = true
      fields[#fields + 1] = name
    end
  end
  for _, name in ipairs(sorted_keys(object)) do
    if not seen[name] then
      fields[#fields + 1] = name
    end
  end
  return fields
end

-- What a row's `text` says, or which job was begun when --no-wait was given.
local function row_text(row, result, parameters)
  local is_only_job <const> = row.job and result.job and next(result, next(result)) == nil
  return is_only_job and "job " .. result.job or row.text(result, parameters)
end

printer.cell, printer.table = cell, print_table

-- Prints the result of a row (nil: of Lua code); true, or nil, err.
function printer.print(row, result, globals, parameters)
  local plain = globals.fmt or globals.fmt2
  if type(result) ~= "table" then
    io.write(globals.json and vios.json.encode(result) or cell(result), "\n")
    return true
  end
  local list = vios.json.is_array(result)
  local rows = list and result or { result }
  local ok, err = check_fields(row, rows, globals)
  if not ok then
    return nil, err
  end
  if globals.json then
    return print_json(row, result, globals, true)
  elseif plain then
    print_delimited(rows, fields_of(row, rows, globals), globals, row)
  elseif row and row.layout then
    row.layout(rows, fields_of(row, rows, globals), globals)
  elseif row and row.text and not globals.field then
    local text = row_text(row, result, parameters)
    if text ~= "" then
      io.write(text, "\n")
    end
  elseif list and type(result[1]) ~= "table" then
    print_values(result)
  elseif list then
    print_table(rows, fields_of(row, rows, globals), globals, nil, row)
  else
    local fields = globals.field and fields_of(row, rows, globals) or all_columns(row, result)
    print_object(result, fields, globals, row)
  end
  return true
end

-- One item of a stream, at once: a line of JSON, or of the fields.
function printer.item(row, value, globals, first)
  if globals.json then
    print_json(row, value, globals, false)
  elseif globals.fmt or globals.fmt2 then
    local header = globals.header and first
    print_delimited({ value }, fields_of(row, { value }, globals),
      setmetatable({ header = header or false }, { __index = globals }))
  elseif type(value) == "table" then
    local fields, titles, parts = fields_of(row, { value }, globals), {}, {}
    for i, name in ipairs(fields) do
      local width = math.max(#title(name), (row.widths or {})[name] or ITEM_WIDTH)
      titles[i] = pad(title(name), width)
      parts[i] = pad(human(name, value[name]), width)
    end
    if first then
      io.write((table.concat(titles, "  "):gsub("%s+$", "")), "\n")
    end
    io.write((table.concat(parts, "  "):gsub("%s+$", "")), "\n")
  else
    io.write(cell(value), "\n")
  end
  io.flush()
end

-- An error, to stderr; with --json as an object. `node`: where it happened, of several.
function printer.error(err, globals, node)
  if globals.json and vios.errors.is(err) then
    local members = { code = err.code, message = err.message, hint = err.hint, object = err.object,
      job = err.job, node = node }
    io.stderr:write(vios.json.encode({ error = members },
      { order = { "code", "message", "hint" } }), "\n")
    return
  end
  local text = term.escape(tostring(err)):gsub("\\x0a", "\n"):gsub("\\x09", "\t")
  io.stderr:write(node or "vios", ": ", text, "\n")
end

return printer
