-- completion.lua - what may come next: nouns, verbs, options, names of live objects, files, and
-- paths of Lua tables. The shell and the hidden command `complete` (for bash) ask here.

local vios <const> = require("vios")
local commands <const> = require("vios.commands")
local parser <const> = require("vios.parser")
local aliases <const> = require("vios.aliases")
local restricted <const> = require("vios.restricted")

local completion = {}

local CALL_TIMEOUT <const> = "1s"
local OPEN_MS <const> = 1000

local function starting_with(names, prefix)
  local found = {}
  for _, name in ipairs(names) do
    if name:sub(1, #prefix) == prefix then
      found[#found + 1] = name
    end
  end
  return found
end

-- What gives the names with a prefix, of nouns that may have very many objects.
local NAMES <const> = { lpar = "daemon.lpar_names" }

-- The names of the objects of a noun: those that begin with `prefix`, or all, as its `list` gives
-- them; of several nodes the first says it.
local function object_names(noun, globals, prefix)
  local row = commands.row(noun, "list")
  local nodes <const>, err = require("vios.connection").targets(globals)
  if not row or err then
    return {}
  end
  if restricted.refusal(row, {}, globals) then
    return {}
  end
  local options = { socket = globals.socket, on = nodes and nodes[1], timeout = CALL_TIMEOUT,
    open_ms = OPEN_MS }
  local given <const> = NAMES[noun]
    and require("vios.execute").call(NAMES[noun], { prefix = prefix }, options)
  if given then
    return given
  end
  local ok, list = pcall(require("vios.execute").run, row, {}, options)
  local names = {}
  for _, object in ipairs(ok and type(list) == "table" and list or {}) do
    names[#names + 1] = object.name or object.id or object.lpar or object.key
      or object.correlator
  end
  table.sort(names)
  return names
end

local function file_names(prefix)
  if restricted.on() then
    return {}
  end
  local folder, start = prefix:match("^(.*/)([^/]*)$")
  local names = {}
  for _, name in ipairs(vios.os.read_dir(folder or ".") or {}) do
    if name:sub(1, #(start or prefix)) == (start or prefix) and name:sub(1, 1) ~= "." then
      local path = (folder or "") .. name
      local is_folder = vios.os.kind(path) == "folder"
      names[#names + 1] = is_folder and path .. "/" or path
    end
  end
  return names
end

-- The names of nodes, and groups, behind what of the set is typed already.
local function node_names(prefix, globals)
  local before <const> = prefix:match("^(.*,!?)[^,]*$") or prefix:match("^(!)") or ""
  local names = object_names("node", { socket = globals.socket })
  names[#names + 1], names[#names + 2] = "@all", "@primary"
  for i, name in ipairs(names) do
    names[i] = before .. name
  end
  return names
end

-- The values that an argument or option may take.
local function values(item, prefix, globals)
  local kind = item.complete
  if kind == "file" then
    return file_names(prefix)
  elseif type(kind) == "table" then
    return kind
  elseif type(kind) == "string" then
    return object_names(kind, globals, prefix)
  elseif item.name == "on" then
    return node_names(prefix, globals)
  elseif item.name == "socket" then
    return file_names(prefix)
  end
  return {}
end

-- What the words before the prefix are: { row, group, option waiting for a value, positional }.
local function walk(words)
  local at, seen = 1, { globals = {}, positional = 0 }
  local literal = false
  while words[at] do
    local word = words[at]
    local _, known = parser.options(seen.row)
    local name = not literal and word:match("^%-%-?(%a[%w-]*)$")
    local option = name and known[name:gsub("-", "_")]
    if word == "--" then
      literal = true
    elseif option and option.value then
      if words[at + 1] == nil then
        seen.option = option
      end
      seen.globals[option.name] = words[at + 1]
      at = at + 1
    elseif not seen.group and word == "on" then
      seen.option = words[at + 1] == nil and { name = "on" } or nil
      seen.globals.on = words[at + 1]
      at = at + 1
    elseif seen.group and not seen.row and commands.dashed_row(seen.group, word) then
      seen.row = commands.dashed_row(seen.group, word)
    elseif not option and not seen.group then
      local expanded <const> = aliases.expand(words, at)
      if expanded then
        words, at = expanded, at - 1
        goto next_word
      end
      seen.group = commands.noun(word)
      seen.row = seen.group and seen.group.by_verb[""]
      if not seen.group then
        return nil
      end
    elseif not option and not seen.row then
      seen.row = seen.group.by_verb[word]
      if not seen.row then
        return nil
      end
    elseif not option and not word:match("^%-") then
      seen.positional = seen.positional + 1
    end
    ::next_word::
    at = at + 1
  end
  return seen
end

-- Options; and, where a verb is missing, PowerVM's.
local function dashed_words(seen)
  local names = parser.option_names(seen.row)
  for _, row in ipairs(seen.group and not seen.row and commands.dashed(seen.group) or {}) do
    names[#names + 1] = "-" .. row.verb
  end
  return names
end

-- What `prefix` may become behind `words`, sorted.
function completion.words(words, prefix)
  local seen = walk(words[1] == "ioscli" and { table.unpack(words, 2) } or words)
  if not seen then
    return {}
  end
  local names
  if seen.option then
    names = values(seen.option, prefix, seen.globals)
  elseif prefix:sub(1, 1) == "-" then
    names = dashed_words(seen)
  elseif not seen.group then
    names = aliases.beginnings()
  elseif not seen.row then
    names = seen.group.powervm and dashed_words(seen) or seen.group.verbs
  elseif seen.row.complete_rest then
    names = seen.row.complete_rest(seen, prefix, words)
  else
    local arguments = seen.row.arguments
    local item = arguments[seen.positional + 1] or arguments[#arguments]
    local usable = item and (item.many or seen.positional < #arguments)
    names = usable and values(item, prefix, seen.globals) or {}
  end
  local found = starting_with(names, prefix)
  table.sort(found)
  return found
end

local KEYWORDS <const> = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
  "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
}

-- The names that may follow `path` ("vios.node") in Lua.
local function members(path)
  local value = _G
  for name in path:gmatch("[^.:]+") do
    local ok, next_value = pcall(function() return value[name] end)
    if not ok or type(next_value) ~= "table" then
      return {}
    end
    value = next_value
  end
  local names = {}
  for name in pairs(value) do
    if type(name) == "string" and name:match("^[%a_][%w_]*$") then
      names[#names + 1] = name
    end
  end
  local noun = path:match("^vios%.([%l]+)$") or path:match("^([%l]+)$")
  if path == "vios" then
    for _, each in ipairs(commands.nouns()) do
      names[#names + 1] = not commands.noun(each).builtin and each or nil
    end
    for _, each in ipairs({ "arguments", "json", "os", "parse", "rpc", "table", "term" }) do
      names[#names + 1] = each
    end
  elseif noun and commands.noun(noun) then
    names = require("vios.functions").verbs(noun)
  end
  return names
end

-- What the Lua path at the end of `text` may become: the names, and where the last part begins.
function completion.lua(text)
  local start, path = text:match("()([%a_][%w_.:]*)$")
  if not path then
    return {}, #text + 1
  end
  local owner, prefix = path:match("^(.*)[.:]([^.:]*)$")
  local names
  if owner then
    names = members(owner)
    start = start + #owner + 1
  else
    prefix = path
    names = members("")
    table.move(KEYWORDS, 1, #KEYWORDS, #names + 1, names)
  end
  local seen, found = {}, {}
  for _, name in ipairs(starting_with(names, prefix)) do
    if not seen[name] then
      seen[name] = true
      found[#found + 1] = name
    end
  end
  table.sort(found)
  return found, start
end

-- For the prompt: the names, where (from 1) in the line the completed part begins, and whether
-- the line is a command.
function completion.line(text)
  local cli = require("vios.cli")
  local list, info = require("vios.words").split(text)
  local first = text:match("^%s*([^%s]*)")
  local typing_first = list and #list <= 1 and (info.in_word or #list == 0)
  if list and not info.open and (typing_first and not first:match("[.:(%[=]")
    or cli.is_command(text)) then
    local prefix = info.in_word and table.remove(list) or ""
    local found = completion.words(list, prefix)
    if #found > 0 or not typing_first then
      return found, info.start, true
    end
  end
  if restricted.on() then
    return {}, #text + 1
  end
  return completion.lua(text)
end

return completion
