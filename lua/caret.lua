-- caret.lua - for an error about a word that was typed: the line again, and a mark under the word.
-- For people only: on a terminal, and not with --json.

local vios <const> = require("vios")
local term <const> = vios.term

local caret = {}

local INDENT <const> = "    "
local WIDEST <const> = 68 -- cells of the line that are shown; it is cut at words
local LEFT <const> = "... "

-- A word as it would have to be typed.
function caret.quoted(word)
  if word:match("^[%w%-_./:=,@+%%~]+$") then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- The line that words which came one by one would make: its text, and where they stand in it.
local function rebuilt(words)
  local line = { text = "", begins = {}, ends = {} }
  for number, word in ipairs(words) do
    line.text = line.text .. (number > 1 and " " or "")
    line.begins[number] = #line.text + 1
    line.text = line.text .. caret.quoted(word)
    line.ends[number] = #line.text
  end
  return line
end

local function width(line, first, last)
  return first <= last and term.text_width(line.text:sub(line.begins[first], line.ends[last])) or 0
end

-- The first and the last word to show, so that those between and word `number` fit.
local function window(line, number)
  local count <const> = #line.begins
  local first, last = 1, count
  while first < number and width(line, first, math.min(number, count)) > WIDEST do
    first = first + 1
  end
  while last > number and width(line, first, last) > WIDEST do
    last = last - 1
  end
  return first, last
end

-- The two lines for word `number` of `words`; one more than there are: what is missing at the end.
-- `typed`: the line they came from, as { text =, begins =, ends = }, if there was one.
function caret.lines(words, number, typed)
  local line <const> = typed or rebuilt(words)
  local count <const> = #line.begins
  if count == 0 then
    return nil
  end
  local first <const>, last <const> = window(line, number)
  local from <const> = line.begins[first]
  local left <const> = INDENT .. (first > 1 and LEFT or "")
  local shown <const> = line.text:sub(from, line.ends[last])
  local before <const> = number > count and shown .. " "
    or line.text:sub(from, line.begins[number] - 1)
  local marked <const> = number > count and 1 or math.max(1, width(line, number, number))
  return left .. term.escape(shown),
    string.rep(" ", #left + term.text_width(before)) .. "^" .. string.rep("~", marked - 1)
end

-- Shows them behind an error.
function caret.show(words, number, typed, globals)
  if globals.json or not term.is_tty(2) then
    return
  end
  local line <const>, mark <const> = caret.lines(words, number, typed)
  if line then
    io.stderr:write(line, "\n", mark, "\n")
  end
end

return caret
