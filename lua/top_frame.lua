-- top_frame.lua - the frame of `top`: from the object of top_data.lua to lines of text, and from
-- lines to what must be sent so that the terminal shows them. Nothing here asks or prints.

local printer <const> = require("vios.printer")
local term <const> = require("vios").term

local frame = {}

frame.SORTS = { "name", "paging", "memory" } -- of the LPARs, in the order in which `s` takes them

local NODE_TITLES <const> = { "NODE", "STATE", "ROLE", "SINCE", "PAGE_MEMORY" }
local LPAR_TITLES <const> = { "LPAR", "STATE", "NODE", "MEMORY", "GENERATION", "PAGING",
  "PAGES_IN/S", "PAGES_OUT/S" }
local GAP <const> = "  "

local HELP <const> = {
  "q, Ctrl-C      quit",
  "s              sort the LPARs by name, by paging rate, by memory",
  "+  -           a longer, a shorter interval",
  "d              the next interval, after the longest the shortest",
  "arrows, PgUp, PgDn, Home, End",
  "               scroll",
  "Ctrl-L         draw everything again",
  "h              this, and back",
  "",
  "SINCE          when the node got into its state",
  "PAGE_MEMORY    what it lends to LPARs of other nodes, of what it could lend",
  "PAGES_IN/S     pages of 4096 bytes that the LPAR got back from its paging device, per second",
  "PAGES_OUT/S    pages that it put there",
}

-- --- text ---

local function text_of(value)
  return value == nil and "" or term.escape(tostring(value))
end

-- As much of the text, which is escaped, as `width` cells take; nil: all of it.
local function clip(text, width)
  if not width or #text <= width or term.text_width(text) <= width then
    return text
  end
  local used, at = 0, 1
  for character in text:gmatch(utf8.charpattern) do
    used = used + term.text_width(character)
    if used > width then
      break
    end
    at = at + #character
  end
  return text:sub(1, at - 1)
end

-- A line of cells, each with `painted[i]` in the colour of its word, within `width` cells.
local function line_of(cells, widths, painted, width, globals)
  local parts, used = {}, 0
  for i, cell in ipairs(cells) do
    local left <const> = width and width - used
    if left and left <= 0 then
      break
    end
    local text <const> = clip(cell, left)
    local padded <const> = i < #cells and clip(printer.pad(text, widths[i]) .. GAP, left) or text
    local shown <const> = painted[i] and text == cell and printer.paint(text, globals) or text
    parts[i] = shown .. padded:sub(#text + 1)
    used = used + widths[i] + #GAP
  end
  return (table.concat(parts):gsub("%s+$", ""))
end

local STATES <const> = { [2] = true, [6] = true } -- the columns with a state, of both tables

local function add_table(lines, titles, rows, view)
  local widths = {}
  local function widen(cells)
    for i, cell in ipairs(cells) do
      widths[i] = math.max(widths[i] or 0, term.text_width(cell))
    end
  end
  widen(titles)
  for _, cells in ipairs(rows) do
    widen(cells)
  end
  lines[#lines + 1] = line_of(titles, widths, {}, view.columns, view.globals)
  for _, cells in ipairs(rows) do
    lines[#lines + 1] = line_of(cells, widths, STATES, view.columns, view.globals)
  end
end

-- --- the tables ---

-- "2026-01-02T03:04:05.678Z" -> "2026-01-02T03:04:05Z"
local function seconds_of(time)
  return (text_of(time):gsub("%.%d+Z$", "Z"))
end

local function page_memory(node)
  local size <const> = node.page_memory_bytes
  return size and printer.size(node.page_memory_used_bytes or 0) .. " of " .. printer.size(size)
    or ""
end

local function node_rows(nodes)
  local rows = {}
  for i, node in ipairs(nodes) do
    rows[i] = { text_of(node.name), text_of(node.state), text_of(node.role),
      seconds_of(node.since), page_memory(node) }
  end
  return rows
end

local RANKS <const> = {
  name = function() return 0 end,
  paging = function(lpar)
    return lpar.pages_in_per_s and lpar.pages_in_per_s + lpar.pages_out_per_s or -1
  end,
  memory = function(lpar) return lpar.memory_mib or -1 end,
}

-- The LPARs in another list: most first, and those that are equal by their names.
function frame.sorted(lpars, sort)
  local list <const>, rank <const> = table.move(lpars, 1, #lpars, 1, {}), RANKS[sort]
  table.sort(list, function(a, b)
    local first <const>, second <const> = rank(a), rank(b)
    if first ~= second then
      return first > second
    end
    return a.name < b.name
  end)
  return list
end

local function lpar_rows(lpars, sort)
  local rows = {}
  for i, lpar in ipairs(frame.sorted(lpars, sort)) do
    local memory <const> = lpar.memory_mib and printer.size(lpar.memory_mib << 20)
    rows[i] = { text_of(lpar.name), text_of(lpar.state), text_of(lpar.node), text_of(memory),
      text_of(lpar.generation), text_of(lpar.paging), text_of(lpar.pages_in_per_s),
      text_of(lpar.pages_out_per_s) }
  end
  return rows
end

local function body_of(snapshot, view)
  local lines = {}
  if view.help then
    for i, line in ipairs(HELP) do
      lines[i] = clip(line, view.columns)
    end
    return lines
  end
  add_table(lines, NODE_TITLES, node_rows(snapshot.nodes), view)
  lines[#lines + 1] = ""
  add_table(lines, LPAR_TITLES, lpar_rows(snapshot.lpars, view.sort), view)
  return lines
end

-- --- the head ---

-- "3 up, 1 down", the most frequent first.
local function count_states(objects)
  local counts, states, parts = {}, {}, {}
  for _, object in ipairs(objects) do
    local state <const> = text_of(object.state)
    if not counts[state] then
      states[#states + 1] = state
    end
    counts[state] = (counts[state] or 0) + 1
  end
  table.sort(states, function(a, b)
    return counts[a] > counts[b] or counts[a] == counts[b] and a < b
  end)
  for i, state in ipairs(states) do
    parts[i] = counts[state] .. " " .. state
  end
  return #parts > 0 and table.concat(parts, ", ") or "none"
end

local function head_of(snapshot, view)
  local primary <const> = (snapshot.primary or "") ~= "" and "primary " .. text_of(snapshot.primary)
    or "no primary"
  local cells <const> = { "cluster " .. text_of(snapshot.name), text_of(snapshot.state),
    primary .. ", epoch " .. text_of(snapshot.epoch), view.clock }
  local widths <const> = {}
  for i, cell in ipairs(cells) do
    widths[i] = term.text_width(cell)
  end
  local counted <const> = "nodes: " .. count_states(snapshot.nodes) .. "; LPARs: "
    .. count_states(snapshot.lpars)
  return { line_of(cells, widths, STATES, view.columns, view.globals),
    clip(counted, view.columns) }
end

-- The lines of the frame, and by how many lines it is scrolled. `view`:
--   globals         the options --color and so on
--   sort            one of SORTS
--   lines, columns  of the terminal; nil: all of it, as it is printed once
--   offset          by how many lines it is to be scrolled
--   clock, status   what the head says beside
--   help            the keys in place of the tables
function frame.lines(snapshot, view)
  local lines <const> = head_of(snapshot, view)
  if view.status then
    lines[#lines + 1] = clip(text_of(view.status), view.columns)
  end
  lines[#lines + 1] = ""
  local body <const> = body_of(snapshot, view)
  local room <const> = view.lines and math.max(view.lines - #lines, 0) or #body
  local offset <const> = math.max(math.min(view.offset or 0, #body - room), 0)
  table.move(body, offset + 1, math.min(offset + room, #body), #lines + 1, lines)
  for i = #lines, (view.lines or #lines) + 1, -1 do -- a terminal of three lines
    lines[i] = nil
  end
  return lines, offset
end

-- What to send so that a terminal that shows `before` shows `now`: only the lines that differ.
function frame.difference(before, now)
  local parts = {}
  for i = 1, math.max(#before, #now) do
    if before[i] ~= now[i] then
      parts[#parts + 1] = "\27[" .. i .. ";1H\27[2K" .. (now[i] or "")
    end
  end
  return table.concat(parts)
end

return frame
