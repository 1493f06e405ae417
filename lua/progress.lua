-- progress.lua - a bar on stderr for calls that take longer than a second, on a terminal only.

local vios <const> = require("vios")

local progress = {}

local DELAY_MS <const> = 1000
local EVERY_MS <const> = 200
local BAR <const> = 24

local function amount(value, unit)
  if unit == "bytes" then
    return require("vios.printer").size(value)
  end
  return tostring(value) .. (unit and unit ~= "" and " " .. unit or "")
end

local function line(told)
  local done, total = told.done or 0, told.total or 0
  if total <= 0 then
    return amount(done, told.unit)
  end
  local full = math.floor(BAR * math.min(done / total, 1))
  return string.format("[%s%s] %3d%%  %s", string.rep("#", full), string.rep(".", BAR - full),
    math.floor(100 * math.min(done / total, 1)), amount(done, told.unit))
end

-- { show = function(table from the daemon), clear = function() }; nil where none is wanted.
function progress.new(globals)
  if globals.quiet or not vios.term.is_tty(2) then
    return nil
  end
  local started, shown = vios.os.now_ms(), 0
  return {
    show = function(told)
      local now = vios.os.now_ms()
      if now - started >= DELAY_MS and now - shown >= EVERY_MS then
        shown = now
        io.stderr:write("\r\27[K", vios.term.escape(line(told)))
        io.stderr:flush()
      end
    end,
    clear = function()
      if shown > 0 then
        io.stderr:write("\r\27[K")
      end
    end,
  }
end

return progress
