-- vios.lua - runs first in every state: the global `vios`, filled as it is used, and strict
-- mode, in which reading a global that nobody set, or setting one within a function, is an error.

local errors <const> = require("vios.errors")

local MODULES <const> = {
  json = "vios.json", rpc = "vios.rpc", os = "vios.os", term = "vios.term",
  parse = "vios.parse", tasks = "vios.tasks", errors = "vios.errors", progress = "vios.progress",
  table = "vios.table", arguments = "vios.arguments", printer = "vios.printer",
}

-- vios.sleep(seconds) waits, until Ctrl-C ends it.
local vios = {
  error = errors.new,
  sleep = require("vios.os").sleep,
  parallel = function(...) return require("vios.parallel").run(...) end,
  on = function(...) return require("vios.far").on(...) end,
}

-- vios.alias("ll", "lpar list"), see aliases.lua.
function vios.alias(name, line)
  require("vios.aliases").add(name, line)
end

_G.vios = vios
package.loaded.vios = vios

-- vios.NOUN and vios.NOUN_VERB; nil when there is no such command.
local function command(name)
  return type(name) == "string" and require("vios.functions").find(name) or nil
end

setmetatable(vios, {
  __index = function(_, name)
    local found = MODULES[name] and require(MODULES[name]) or command(name)
    if found == nil then
      error("vios has no '" .. tostring(name) .. "'", 2)
    end
    rawset(vios, name, found)
    return found
  end,
})

setmetatable(_G, {
  __newindex = function(globals, name, value)
    local caller = debug.getinfo(2, "S")
    if caller and caller.what ~= "main" and caller.what ~= "C" then
      error("assignment to undeclared global '" .. tostring(name) .. "': make it local", 2)
    end
    rawset(globals, name, value)
  end,
  __index = function(_, name)
    local found = command(name)
    if found == nil then
      error("undeclared global '" .. tostring(name) .. "'", 2)
    end
    return found
  end,
})
