-- cluster.lua - the commands of noun "cluster".

-- "n1,n2/n3" -> { { "n1", "n2" }, { "n3" } }
local function sides_of(text)
  local sides = {}
  for side in (text .. "/"):gmatch("([^/]*)/") do
    local names = {}
    for name in side:gmatch("[^,]+") do
      names[#names + 1] = name
    end
    if #names == 0 then
      return nil, vios.error("usage", 'a side of "' .. text .. '" names no node',
        { hint = "try: vios cluster simulate split n1,n2/n3" })
    end
    sides[#sides + 1] = names
  end
  return sides
end

local function simulate(parameters, context)
  local sides <const>, why <const> = sides_of(parameters.sides)
  if not sides then
    return nil, why
  end
  return context.call("cluster.simulate", { sides = sides })
end

local RULES <const> = {
  ["whole"] = "there is no split",
  ["no-store"] = "no side can commit to the VIOS DB",
  ["store"] = "only it can commit to the VIOS DB",
  ["majority"] = "it has the majority",
  ["primary"] = "there is no majority, and it has the primary node",
  ["lowest-name"] = "there is no majority and no primary: it has the lowest name",
}

local function tell_split(result)
  if #result.winner == 0 then
    return "nobody goes on: " .. RULES[result.rule]
  end
  local lines = { table.concat(result.winner, ", ") .. " would go on: " .. RULES[result.rule] }
  for _, side in ipairs(result.sides) do
    if side[1] ~= result.winner[1] then
      lines[#lines + 1] = table.concat(side, ", ") .. " would lose: their guests move over"
    end
  end
  return table.concat(lines, "\n")
end

-- The passphrase is read here, by the person who may read the file, and not by the daemon.
local function create(parameters, context)
  local sent <const> = { name = parameters.name }
  if parameters.passphrase_file then
    local file <const>, why <const> = io.open(parameters.passphrase_file, "r")
    if not file then
      return nil, vios.error("not_found", why, { object = "--passphrase-file" })
    end
    sent.passphrase = file:read("l") or ""
    file:close()
  end
  return context.call("cluster.create", sent)
end

local TEXT_MAX <const> = 8192 -- PLACE_FUNCTION_TEXT_MAX

-- The text of a function is read here, by the person who may read the file.
local function read_function(path)
  local file, text, why
  file, why = io.open(path, "r")
  if file then
    text, why = file:read(TEXT_MAX + 1)
    file:close()
  end
  if not text then
    return nil, vios.error("not_found", why or path .. ": there is nothing in it",
      { object = "placement", hint = 'give a file with a Lua function, or "off"' })
  end
  if #text > TEXT_MAX then
    why = "it has more than " .. TEXT_MAX .. " bytes"
  elseif not utf8.len(text) or text:find("\0", 1, true) then
    why = "it is no text in UTF-8"
  end
  if why then
    return nil, vios.error("invalid", path .. ": " .. why, { object = "placement" })
  end
  return text
end

local function set(parameters, context)
  local value = parameters.value
  if parameters.key == "placement" and value ~= "off" then
    local text <const>, why <const> = read_function(value)
    if not text then
      return nil, why
    end
    value = text
  end
  return context.call("cluster.set", { key = parameters.key, value = value })
end

return {
  noun = "cluster",
  summary = "the cluster as a whole",
  rows = {
    {
      verb = "create",
      summary = "make this node the first of a new cluster",
      run = create,
      restricted = true,
      arguments = { { name = "name", words = "the cluster's name" } },
      options = {
        {
          name = "passphrase_file", value = "FILE", complete = "file", local_file = true,
          words = "its first line encrypts a copy of the authority's key for the VIOS DB",
        },
      },
      text = function(_, parameters) return 'cluster "' .. parameters.name .. '" created' end,
      examples = { "cluster create prod", "cluster create prod --passphrase-file secret" },
    },
    {
      verb = "list",
      summary = "list the clusters that this node knows: its own",
      columns = { "name", "uuid", "created" },
      examples = { "cluster list", "cluster list --json" },
    },
    {
      verb = "status",
      summary = "show the state of the cluster",
      columns = { "name", "state", "primary", "epoch", "nodes" },
      examples = { "cluster status", "cluster status --json" },
    },
    {
      verb = "set",
      summary = "change what holds for the whole cluster",
      run = set,
      restricted = function(parameters) -- a placement function is read from a file here
        return parameters.key ~= "placement" or parameters.value == "off"
      end,
      arguments = {
        { name = "key", words = "split_time, level, ffdc_quota, ffdc_age, maintenance, placement",
          complete = { "split_time", "level", "ffdc_quota", "ffdc_age", "maintenance",
            "placement" } },
        { name = "value", words = "its value; the file of a placement function, or off" },
      },
      text = function(_, parameters) return parameters.key .. " = " .. parameters.value end,
      examples = { "cluster set split_time 20s", "cluster set maintenance on",
        "cluster set placement racks.lua" },
    },
    {
      verb = "matrix",
      summary = "show who hears whom: a one-way loss, a slow node and a dead one differ",
      columns = { "node", "state", "slow", "hears", "deaf_to" },
      examples = { "cluster matrix", "cluster matrix --json" },
    },
    {
      verb = "simulate",
      summary = "say which side of a split would go on; nothing is touched",
      run = simulate,
      restricted = true,
      arguments = {
        { name = "what", words = "split", complete = { "split" } },
        { name = "sides", words = "nodes with commas, sides with slashes" },
      },
      text = tell_split,
      examples = { "cluster simulate split n1,n2/n3" },
    },
  },
}
