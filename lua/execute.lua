-- execute.lua - does what a row says: calls its method or its function.

local vios <const> = require("vios")
local connection <const> = require("vios.connection")

local execute = {}

-- After these the connection is in doubt and is not used again.
local BROKEN <const> = { unreachable = true, io = true, corrupt = true }

local function timeout_ms(options)
  local text = options.timeout or connection.defaults.timeout
  if text == nil then
    return nil
  end
  local ms, err = vios.parse.duration(tostring(text))
  if ms == nil then
    local bad <const> =
      vios.error("usage", err.message, { object = "--timeout", hint = err.hint })
    bad.item = "timeout"
    return nil, bad
  end
  return ms
end

-- Method and parameters as the daemon at the end of the route is told them: another node's are
-- wrapped for it.
local function addressed(route, method, parameters)
  if route.node then
    return "node.call", { node = route.node, method = method, parameters = parameters }
  end
  return method, parameters
end

-- A call beside others, see parallel.lua.
local function call_beside(method, parameters, options, callbacks, limit)
  if callbacks.input then
    return nil, vios.error("usage", "standard input can go to one node only",
      { hint = "name one with --on, or a file" })
  end
  local route <const>, err = connection.route(options)
  if not route then
    return nil, err
  end
  local client
  client, err = connection.take(route)
  if not client then
    return nil, err
  end
  local request <const> = { client = client, timeout_ms = limit,
    open_ms = connection.open_ms(route), item = callbacks.item, progress = callbacks.progress }
  request.method, request.parameters = addressed(route, method, parameters)
  local result
  result, err = require("vios.parallel").call(request)
  if err and BROKEN[err.code] then
    client:close()
  end
  return result, err
end

-- One RPC: result, or nil, err. `callbacks`: progress, item; input: standard input goes too.
function execute.call(method, parameters, options, callbacks)
  local limit, err = timeout_ms(options)
  if err then
    return nil, err
  end
  callbacks = callbacks or {}
  if package.loaded["vios.parallel"] and require("vios.parallel").is_inside() then
    return call_beside(method, parameters, options, callbacks, limit)
  end
  local client, route = connection.get(options, options.open_ms)
  if not client then
    return nil, route
  end
  method, parameters = addressed(route, method, parameters)
  local result
  result, err = client:call(method, parameters, {
    timeout_ms = limit, progress = callbacks.progress, item = callbacks.item,
    input = callbacks.input,
  })
  if err and BROKEN[err.code] then
    client:close()
  end
  return result, err
end

-- A command of the shell on the host of `options.on`, by ssh: {out, err, status, cut}, or nil, err.
-- Within parallel.lua.
function execute.shell(command, options)
  local limit, err = timeout_ms(options)
  if err then
    return nil, err
  end
  local route <const> = { address = "ssh:" .. options.on:gsub("^ssh:", "") }
  local client <const> = connection.take(route)
  local result
  result, err = require("vios.parallel").call({ client = client, command = command,
    timeout_ms = limit, open_ms = connection.open_ms(route) })
  if err and BROKEN[err.code] then
    client:close()
  end
  return result, err
end

local function decode_object(text)
  local value, err = vios.json.decode(text)
  if err or type(value) ~= "table" or vios.json.is_array(value) then
    return nil, vios.error("usage", err and err.message or "it is no object",
      { hint = [[give one, as '{"size":3}']] })
  end
  return value
end

-- A value as its row's type wants it; nil, err when it cannot be.
local function convert(item, value)
  local kind = item.type
  if type(value) ~= "string" or not kind then
    return value
  end
  if kind == "integer" then
    return vios.parse.integer(value, item.minimum, item.maximum)
  elseif kind == "object" then
    return decode_object(value)
  end
  local number, err = vios.parse[kind](value) -- size or duration: the daemon reads it again
  return number and value, err
end

-- A list where the row wants one; each element converted. nil, err, and which of them is bad.
local function convert_many(item, value)
  local list = vios.json.array({})
  for index, element in ipairs(type(value) == "table" and value or { value }) do
    local converted, err = convert(item, element)
    if converted == nil then
      return nil, err, index
    end
    list[index] = converted
  end
  return list
end

-- A value that is none of its item's type: err, with `item`, and `nth` of its values.
local function bad_value(list, row, item, err, nth)
  local typed <const> = list == row.options and require("vios.parser").dashed(item.name)
    or item.name:upper()
  local unlimited <const> = item.type == "integer" and not item.minimum
  local bad <const> = vios.error("usage", err.message,
    { object = typed, hint = unlimited and "give a whole number" or err.hint })
  bad.item, bad.nth = item.name, nth
  return bad
end

-- The parameters as they are sent: a copy, checked and converted; nil, err.
function execute.parameters(row, parameters)
  local sent = {}
  for name, value in pairs(parameters) do
    sent[name] = value
  end
  for _, list in ipairs({ row.arguments, row.options }) do
    for _, item in ipairs(list) do
      local value = sent[item.name]
      if value ~= nil then
        local converted, err, nth = (item.many and convert_many or convert)(item, value)
        if converted == nil then
          return nil, bad_value(list, row, item, err, nth)
        end
        sent[item.name] = converted
      end
    end
  end
  return sent
end

-- What a row's `run` is given, see commands.lua.
local function context_of(options, callbacks)
  return {
    options = options,
    call = function(method, its) return execute.call(method, its, options, callbacks) end,
    send = function(method, its)
      return execute.call(method, its, options,
        setmetatable({ input = true }, { __index = callbacks }))
    end,
    progress = function(done, total, unit)
      if callbacks.progress then
        callbacks.progress({ done = done, total = total, unit = unit })
      end
    end,
    note = callbacks.note or function() end,
  }
end

-- Asks a row, for --dry-run, whether it would work: true, or nil, err. `sent` is of parameters().
function execute.rehearse(row, sent, options)
  return row.rehearse(sent, context_of(options, {}))
end

local function console(row, parameters, options)
  local client, route = connection.get(options)
  if not client then
    return nil, route
  end
  return client:console(addressed(route, row.method, parameters))
end

-- The items of a stream as a list.
local function collect(row, parameters, options, callbacks)
  local items = vios.json.array({})
  local with = setmetatable({ item = function(value) items[#items + 1] = value end },
    { __index = callbacks })
  local result, err = execute.call(row.method, parameters, options, with)
  if result and #items == 0 and vios.json.is_array(result) then
    return result -- all at once
  end
  return result and items, err
end

-- Runs a row; `callbacks` as for call(), and note(text). The result, or nil, err. A stream without
-- an item callback gives the list of its items.
function execute.run(row, parameters, options, callbacks)
  callbacks = callbacks or {}
  local sent, err = execute.parameters(row, parameters)
  if not sent then
    return nil, err
  elseif row.run then
    return row.run(sent, context_of(options, callbacks))
  elseif row.console then
    return console(row, sent, options)
  elseif row.stream and not callbacks.item then
    return collect(row, sent, options, callbacks)
  end
  return execute.call(row.method, sent, options, callbacks)
end

return execute
