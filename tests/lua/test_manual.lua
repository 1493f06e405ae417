-- Proves: vios.1 has every command with every option, and none that is not there.

local commands <const> = require("vios.commands")
local parser <const> = require("vios.parser")

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")

local root <const> = arg[0]:match("^(.*)/tests/lua/[^/]*$") or "."
local text <const> = assert(vios.os.read_file(root .. "/vios.1"))
local section <const> = text:match("\n%.Sh COMMANDS\n(.-)\n%.Sh CONFIGURATION\n")

-- "node show" -> what the manual says of it; PowerVM's commands have a section of their own behind
-- ours, and one dash before their options.
local told, order = {}, {}
local current
for line in section:gmatch("[^\n]+") do
  local words = line:match("^%.It Cm (.*)$")
  if words then
    current = words:gsub(" Op Ar .*$", ""):gsub(" Ar .*$", "")
    told[current] = { head = line, options = {} }
    order[#order + 1] = current
  elseif current and line:match("^%.It Fl ") then
    told[current].options[line:match("^%.It Fl Fl ([%w-]+)")
      or line:match("^%.It Fl ([%w-]+)")] = true
  end
end

local function arguments_in(head)
  local _, found = head:gsub(" Ar ", "")
  return found
end

for _, row in ipairs(commands.all()) do
  local entry = told[row.name]
  local missing = {}
  for _, option in ipairs(parser.own_options(row)) do
    local name = option.name:gsub("_", "-")
    if entry and not entry.options[name] then
      missing[#missing + 1] = "--" .. name
    end
    if entry then
      entry.options[name] = nil
    end
  end
  local extra = entry and next(entry.options)
  local good = entry and #missing == 0 and not extra
    and arguments_in(entry.head) == #row.arguments
  tap.ok(good, row.name .. " is in the manual", not entry and "no entry"
    or extra and "not an option: --" .. extra
    or #missing > 0 and "missing: " .. table.concat(missing, " ") or "its objects differ")
  told[row.name] = nil
end
for _, name in ipairs(order) do
  if told[name] then
    tap.ok(false, name .. " of the manual is a command")
  end
end
tap.finish()
