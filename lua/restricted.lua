-- restricted.lua - what the restricted shell has: for people who reach a node by SSH and are to
-- have its commands, and nothing else of the machine. Here alone it is decided; shell/restricted.c
-- begins it, before anything that its user said is looked at, and it never ends.
--
-- A row is allowed when all that it does is to call the method of its name. One with a `run` of its
-- own may do anything here, so it must say `restricted = true`, or a function of its parameters
-- that says whether. An argument or option that names a file must say `local_file = false`: that
-- the file is the daemon's, who decides by the caller's role. There is no Lua at all.

local vios <const> = require("vios")

local restricted = {}

local session = nil -- { role =, socket = }; nil: the shell is not restricted

-- What of the standard libraries and of vios.os is left: a second wall, should the first have a
-- hole. Of the others nothing touches files or programs.
local LEFT <const> = {
  [io] = { "stdin", "stdout", "stderr", "flush", "write", "type" },
  [os] = { "clock", "date", "difftime", "exit", "getenv", "time" },
  [vios.os] = { "finally", "kind", "now_ms", "pid", "sleep", "uid" },
}

local function leave(library, names)
  local kept <const> = {}
  for _, name in ipairs(names) do
    kept[name] = library[name]
  end
  for name in pairs(library) do
    library[name] = kept[name]
  end
end

local function disarm()
  for library, names in pairs(LEFT) do
    leave(library, names)
  end
  for _, name in ipairs({ "dofile", "load", "loadfile" }) do
    rawset(_G, name, nil)
  end
  -- what is preloaded, and our own files
  package.searchers[3], package.searchers[4], package.searchers[5] = nil, nil, nil
  rawset(package, "loadlib", nil)
  package.path, package.cpath = "", ""
end

-- `role`: no more than this one, or nil; `socket`: the daemon's, or nil for the usual one.
function restricted.begin(role, socket)
  assert(not session, "it has begun")
  session = { role = role, socket = socket }
  disarm()
end

function restricted.on()
  return session ~= nil
end

function restricted.role()
  return session and session.role
end

function restricted.socket()
  return session and session.socket
end

-- As for a command that there is not.
local function unknown(object, message)
  return vios.error("usage", message, { object = object, hint = 'see "help"' })
end

local function may_run(row, parameters)
  local rule <const> = row.restricted
  if type(rule) == "function" then
    return rule(parameters) == true
  end
  return rule == true or rule == nil and row.run == nil
end

local function names_local_file(item)
  return item.local_file or item.complete == "file" and item.local_file ~= false
end

-- The first of the items that was given and names a file here.
local function local_file(items, given)
  for _, item in ipairs(items) do
    if rawget(given, item.name) ~= nil and names_local_file(item) then
      return item
    end
  end
end

-- An error when this command, given so, is not for the restricted shell; nil: it may be run.
function restricted.refusal(row, parameters, globals)
  if not session then
    return nil
  end
  if not may_run(row, parameters) then
    return unknown(row.name, "not in the restricted shell")
  end
  local parser <const> = require("vios.parser")
  local item <const> = local_file(parser.GLOBALS, globals) or local_file(row.options, parameters)
  local argument <const> = not item and local_file(row.arguments, parameters)
  if item or argument then
    return unknown(item and parser.dashed(item.name) or argument.name:upper(),
      "files of this machine are not for the restricted shell")
  end
end

-- The error for a line that is no command; nil: it may be Lua.
function restricted.no_lua()
  return session and unknown(nil, "the restricted shell has commands only, and this is none")
end

return restricted
