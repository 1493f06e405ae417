-- event.lua - the commands of noun "event": what happened in the cluster, told to who wants to
-- know.

local vios <const> = require("vios")

local PAUSE_SECONDS <const> = 0.5 -- between two looks for a daemon that answers
-- The daemon, or the way to it, is away: it may come back, or another node answer.
local AWAY <const> = { unreachable = true, io = true, timeout = true }

local CLASS <const> = { name = "class", value = "CLASS,...", words = "only of these classes" }
local OBJECT <const> = { name = "object", value = "PATTERN,...",
  words = "only of these objects; * and ? as in a shell" }
local SINCE <const> = { name = "since", value = "SEQ", type = "integer",
  words = "only those behind this sequence number" }
local ID <const> = { name = "id", words = "the caller's id, a name" }
local COLUMNS <const> = { "seq", "time", "node", "class", "object", "operation", "old", "new" }
local WIDTHS <const> = { time = 24 }

local function call(parameters, options, item)
  return require("vios.execute").call("event.tail", parameters, options, { item = item })
end

-- The number of the last event there is; 0 when there is none yet.
local function newest(options)
  local seq = 0
  local done, err = call({ limit = 1 }, options, function(event) seq = event.seq end)
  return done and seq, err
end

-- vios.event.on({ class = ..., since = ... }, function(event) ... end) calls the function
-- for each event that fits, in order, once, until it returns false, and returns the number of the
-- last one. Without `since` it begins with those that come from now on. Whatever happens to the
-- primary, the daemon it asks, or the way there: it goes on behind the last event that was given,
-- for as long as it takes. An event of operation "resync" says that some are not kept any more.
-- nil, err otherwise.
local function on(filter, callback)
  local options <const> = { socket = filter.socket, on = filter.on }
  local since = filter.since
  while not since do
    local err
    since, err = newest(options)
    if not since and not AWAY[err.code] then
      return nil, err
    elseif not since then
      vios.os.sleep(PAUSE_SECONDS)
    end
  end
  local stopped = false
  while not stopped do
    local done, err = call({ follow = true, since = since, class = filter.class,
      object = filter.object }, options, function(event)
      since = event.seq
      stopped = callback(event) == false
      return not stopped
    end)
    if not done and not stopped then
      if not AWAY[err.code] then
        return nil, err
      end
      vios.os.sleep(PAUSE_SECONDS)
    end
  end
  return since
end

return {
  noun = "event",
  functions = { on = on },
  summary = "what happens in the cluster, in order, without a gap",
  rows = {
    {
      verb = "tail",
      summary = "show the last events, and with --follow those that come",
      options = {
        { name = "follow", short = "f", words = "go on until Ctrl-C" },
        CLASS, OBJECT, SINCE,
        { name = "limit", value = "COUNT", type = "integer",
          words = "so many of the last ones first (10)" },
      },
      stream = true,
      columns = COLUMNS,
      widths = WIDTHS,
      examples = { "event tail --follow", "event tail -f --class node,primary",
        "event tail -f --json" },
    },
    {
      verb = "list",
      summary = "list the events that are kept, oldest first",
      options = {
        CLASS, OBJECT, SINCE,
        { name = "limit", value = "COUNT", type = "integer", words = "only the last so many" },
      },
      stream = true,
      collected = true,
      columns = COLUMNS,
      examples = { "event list --class lpar", "event list --object 'web*' --json" },
    },
    {
      verb = "emit",
      summary = "make an event of your own, and wait until everybody can see it",
      arguments = {
        { name = "class", words = "a word, as \"backup\"" },
        { name = "object", words = "what it happened to" },
        { name = "operation", words = "what happened, a word, as \"done\"" },
      },
      options = {
        { name = "old", value = "STATE", words = "the state before" },
        { name = "new", value = "STATE", words = "the state now" },
        { name = "data", value = "JSON", type = "object", words = "an object with more about it" },
      },
      text = function(result)
        return result.state == "published" and ("event %d"):format(result.seq)
          or "the repository is away: the event waits on this node, and is published later"
      end,
      examples = { "event emit backup nightly done",
        "event emit disk sdb failed --old ok --new bad",
        [[event emit backup nightly done --data '{"files":1204}']] },
    },
    {
      verb = "status",
      summary = "show what waits on each node to be published",
      stream = true,
      collected = true,
      columns = { "node", "state", "queued", "files", "lost", "why" },
      examples = { "event status" },
    },
    {
      verb = "register",
      summary = "let a caller connect, and print its token: once",
      arguments = { ID },
      options = { CLASS, OBJECT },
      columns = { "id", "token", "addresses", "fingerprint" },
      told_already = { "authority" },
      examples = { "event register billing", "event register watcher --class node,lpar",
        "event register web --class lpar --object 'web*' --json" },
    },
    {
      verb = "unregister",
      summary = "take a caller's registration away, and close its connection",
      arguments = { ID },
      text = function(_, parameters) return 'caller "' .. parameters.id .. '" is unregistered' end,
      examples = { "event unregister billing" },
    },
    {
      verb = "callers",
      summary = "list the registered callers, and how far each has come",
      stream = true,
      collected = true,
      columns = { "id", "state", "address", "class", "object", "seen", "lag", "queue_bytes",
        "resyncs", "retries" },
      examples = { "event callers", "event callers --json" },
    },
  },
}
