-- aliases.lua - words of one's own that begin a command: vios.alias("ll", "lpar list"). They hold
-- in the process that made them; the shell's start-up file is where they are made.
--
-- What an alias stands for begins with a command's word, which no alias can be: so none goes in
-- circles, and none hides a command.

local commands <const> = require("vios.commands")

local aliases = {}

local MAX <const> = 1000
local lines <const> = {} -- name -> { line =, words = }
local names <const> = {} -- sorted

local function refuse(name, why)
  error(('alias "%s": %s'):format(tostring(name), why), 4)
end

-- Makes one, or makes it anew. Misuse raises.
function aliases.add(name, line)
  if type(name) ~= "string" or not name:match("^%a[%w-]*$") or #name > 32 then
    refuse(name, "a name is a letter, and up to 31 letters, digits and dashes")
  elseif commands.noun(name) then
    refuse(name, "there is a command of that name")
  elseif rawget(_G, name) ~= nil or not load("local " .. name:gsub("-", "_")) then
    refuse(name, "it is a word of Lua")
  elseif type(line) ~= "string" then
    refuse(name, "it needs the line it stands for")
  end
  local words <const>, info = require("vios.words").split(line)
  if not words or info.open then
    refuse(name, words and "the line ends within quotes" or info.message)
  elseif not words[1] or not commands.noun(words[1]) then
    refuse(name, '"' .. line .. '" does not begin with a command')
  elseif not lines[name] and #names == MAX then
    refuse(name, "there are " .. MAX .. " already")
  end
  if not lines[name] then
    names[#names + 1] = name
    table.sort(names)
  end
  lines[name] = { line = line, words = words }
end

-- The names of all, sorted.
function aliases.names()
  return names
end

-- The words that may begin a command: nouns, and these.
function aliases.beginnings()
  local all <const> = commands.first_words()
  return table.move(names, 1, #names, #all + 1, all)
end

-- The line that a word stands for; nil when it is no alias.
function aliases.line(name)
  return lines[name] and lines[name].line
end

-- The words with that at `at` replaced by what it stands for; nil when it is no alias.
function aliases.expand(words, at)
  local alias <const> = lines[words[at]]
  if not alias then
    return nil
  end
  local expanded <const> = table.move(words, 1, at - 1, 1, {})
  table.move(alias.words, 1, #alias.words, at, expanded)
  return table.move(words, at + 1, #words, at + #alias.words, expanded)
end

return aliases
