-- pager.lua - output that is longer than the screen goes through $PAGER. Who calls this has seen
-- that it is for a person at a terminal.

local vios <const> = require("vios")
local term <const> = vios.term

local pager = {}

-- Goes on where the text fits after all, keeps colours, and leaves the text on the screen.
local DEFAULT <const> = "command -v less >/dev/null || exit 127; exec less -FRX"
local NOT_RUN <const> = { [126] = true, [127] = true } -- by the shell: there is no such program

-- What the shell of the system runs; nil when there shall be no pager. In `less` no other program
-- can be opened.
function pager.command()
  local chosen <const> = os.getenv("PAGER")
  if (os.getenv("TERM") or "dumb") == "dumb" or require("vios.restricted").on() then
    return nil
  elseif not chosen then
    return "export LESSSECURE=1; " .. DEFAULT
  end
  local is_none <const> = chosen:match("^%s*$") or chosen:match("^%s*cat%s*$")
  return not is_none and "export LESSSECURE=1; " .. chosen or nil
end

-- Whether the text needs more lines than a terminal of this size has above the prompt.
function pager.is_long(text, lines, columns)
  local used = 0
  for line in text:gmatch("([^\n]*)\n") do
    local width <const> = term.text_width((line:gsub("\27%[[%d;]*m", "")))
    used = used + math.max(1, (width + columns - 1) // columns)
    if used > lines then
      return true
    end
  end
  return false
end

-- What `work` printed, in a file, and what it returned.
local function printed_by(work)
  local file <const>, output <const> = io.tmpfile(), io.output()
  if not file then
    return nil, table.pack(work())
  end
  local results
  vios.os.finally(function()
    io.output(file)
    results = table.pack(work())
  end, function()
    io.output(output)
  end)
  return file, results
end

-- Calls `work`, shows what it printed with io.write, and returns what it returned.
function pager.through(work)
  local command <const>, lines <const>, columns <const> = pager.command(), term.size()
  if not command or not lines then
    return work()
  end
  local file <const>, results <const> = printed_by(work)
  if file then
    file:seek("set")
    local text <const> = file:read("a")
    if not pager.is_long(text, lines - 1, columns) or NOT_RUN[term.page(command, file)] then
      io.write(text)
    end
    file:close()
  end
  return table.unpack(results, 1, results.n)
end

return pager
