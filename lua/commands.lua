-- commands.lua - the table of commands: which nouns there are, and their rows.
--
-- A noun is a file lua/NOUN.lua that returns
--
--   {
--     noun = "lpar",
--     summary = "guests and their life",       -- one line, for `help`
--     rows = {
--       {
--         verb = "stop",
--         summary = "stop a guest",             -- one line
--         run = function(parameters, context) … return result  -- or: return nil, err
--         end,                                  -- without it, the method lpar.stop is called
--         arguments = {                         -- positional, in order
--           { name = "lpar", words = "the guest's name", complete = "lpar",
--             optional = false, many = false },
--         },
--         options = {
--           { name = "timeout", value = "TIME", words = "how long to wait", type = "duration" },
--           { name = "force", words = "…" },    -- no `value`: a flag
--           { name = "follow", short = "f", words = "…" },  -- also typed -f
--           { name = "disk", value = "FILE", many = true, words = "…", complete = "file",
--             local_file = false },
--         },
--         restricted = true, -- with a `run`: all that it does here is to call methods, so that
--                          -- the restricted shell has it (restricted.lua); or a function that
--                          -- says so of the parameters
--         columns = { "name", "state" },        -- of the table a person sees, in order
--         widths = { time = 24 },               -- of a stream's columns, beyond the usual 10
--         nested = { files = { "name", … } },   -- columns of a list within an object
--         told_already = { "disks" },           -- not shown to a person unless asked for
--         text = function(result, parameters) return "one line instead of the table" end,
--         job = true,      -- the method is a METHOD_JOB: takes --no-wait
--         stream = true,   -- the method sends items: printed as they come
--         collected = true, -- they are printed as one list, when all are there
--         console = true,  -- the method streams bytes both ways: the terminal goes raw
--         confirm = "stops {lpar} without asking it",  -- asks, unless --yes
--         verdict = function(result) return err end, -- of a result that was shown and says that
--                          -- something is wrong: the command fails with it; nil: it is good
--         rehearse = function(parameters, context) … return true  -- or: return nil, err
--         end,             -- for --dry-run: whether it would work
--         preview = function(parameters, context) … return result  -- as `run` with
--         end,             -- options.dry_run: shown (by `text`) before it asks, and for --dry-run
--         examples = { "lpar stop web1 --timeout 30s" },
--       },
--     },
--   }
--
-- `name`s are the method's parameter names; the option of `page_memory` is typed --page-memory.
-- `many`: may be repeated (an argument: the rest of the line); a list is sent.
-- `type` is checked before sending: integer and object (sent as such; an object is typed as JSON),
-- size, duration (both sent as text).
-- Everything else is text. `complete` is a noun (names come from its list), "file", or a list of
-- words. With "file" goes `local_file`: whether the shell itself opens or writes it (true), or
-- hands its name to the daemon (false).
-- `functions` of the noun's table are Lua functions beside the commands: vios.event.on.
-- A noun with `verb = nil` in its only row is a word by itself (`quit`).
-- `alone`: without the options of all commands, as scripts are that call vios.arguments.
--
-- PowerVM's commands (lua/powervm.lua) are rows too, of groups with `powervm = true`. Beside the
-- above they may have
--
--   means = function(parameters, globals) return row, parameters  -- or: return nil, err
--   end,              -- the row that is run in its place, under its own names
--   stands_for = { "lu create" },              -- our commands that this can be
--   refused = { npiv = "lpar show NAME" },     -- options that mean nothing here, and what does
--   titles = { size = "Size(mb)" },            -- of columns
--   more = { "luudid" },                       -- fields that --field may name beside the columns
--   repeated = "vtds", -- a list within each object: with --fmt, its fields follow, again and again
--   layout = function(objects, fields) … end,  -- prints them for a person
--
-- An option with `spread = true`, typed with one dash, takes all words up to the next option.
--
-- A row with `run` gets `context`: { call = function(method, parameters) → result | nil, err,
-- send = the same, with standard input sent to the method,
-- options = the global options, progress = function(done, total, unit), note = function(text)
-- (a line for people, on stderr unless --quiet) }. An error is made by
--   return nil, vios.error("not_found", "no lab in " .. dir, { hint = "run \"vios lab up\"" })
-- with the code words of core/base/error.c.

-- The files, in the order of the manual.
local NOUNS <const> = {
  "lab", "cluster", "node", "primary", "event", "alert", "paging", "pool", "lu", "image", "lpar",
  "adapter", "hibernation", "ffdc", "db", "job", "audit", "config",
}
-- What PowerVM's administrators type: lua/powervm.lua has them all.
local POWERVM <const> = {
  "lssp", "lsmap", "mkbdsp", "rmbdsp", "clffdc", "snap", "viosbr", "rrstartlpar", "ioslevel",
  "ioscli",
}
-- The shell's own words: lua/builtins.lua has them all. The hidden ones are for programs.
local WORDS <const> = {
  "help", "explain", "history", "watch", "top", "metrics", "source", "on", "quit",
}
local HIDDEN <const> = { "self-test", "rpc", "complete" }

local commands = {}
local loaded = {}
local is_file <const>, is_word <const>, is_powervm <const> = {}, {}, {}
local names <const> = table.move(WORDS, 1, #WORDS, #NOUNS + 1, { table.unpack(NOUNS) })

for _, noun in ipairs(NOUNS) do
  is_file[noun] = true
end
for _, word in ipairs(POWERVM) do
  is_powervm[word] = true
end
for _, list in ipairs({ WORDS, HIDDEN }) do
  for _, word in ipairs(list) do
    is_word[word] = true
  end
end

-- The names of all nouns but the hidden ones and PowerVM's, in order.
function commands.nouns()
  return names
end

-- The names of PowerVM's commands, in order.
function commands.powervm()
  return POWERVM
end

-- All words that a line may begin with, but for the hidden ones.
function commands.first_words()
  return table.move(POWERVM, 1, #POWERVM, #names + 1, { table.unpack(names) })
end

-- Gives the row of that verb, typed behind `dash` if it is PowerVM's, its names.
local function complete_row(row, noun, dash)
  row.name = row.verb and (noun .. " " .. dash .. row.verb) or noun
  row.method = row.name:gsub(" ", ".")
  row.arguments = row.arguments or {}
  row.options = row.options or {}
  row.powervm = dash == "-"
end

local function file_of(name)
  if is_powervm[name] then
    return require("vios.powervm").groups[name]
  end
  return is_word[name] and require("vios.builtins")[name] or require("vios." .. name)
end

-- The noun's table, each row with its `name` and the `method` of that name, and `by_verb` and
-- `verbs`; nil when there is none.
function commands.noun(name)
  if loaded[name] or not (is_file[name] or is_word[name] or is_powervm[name]) then
    return loaded[name]
  end
  local group <const> = file_of(name)
  group.by_verb, group.verbs = {}, {}
  for _, row in ipairs(group.rows) do
    complete_row(row, group.noun, group.powervm and "-" or "")
    group.by_verb[row.verb or ""] = row
    table.insert(group.verbs, row.verb)
  end
  loaded[name] = group
  return group
end

-- The row of NOUN VERB; `verb` "" or nil for a word by itself.
function commands.row(noun, verb)
  local group = commands.noun(noun)
  return group and group.by_verb[verb or ""]
end

local dashed = {}

-- The rows that PowerVM has for verbs of this group, typed with one dash: `cluster -status`.
function commands.dashed(group)
  local noun <const> = group.noun
  if group.powervm then
    return group.by_verb[""] and {} or group.rows
  elseif not is_file[noun] then
    return {}
  elseif not dashed[noun] then
    dashed[noun] = require("vios.powervm").dashed[noun] or {}
    for _, row in ipairs(dashed[noun]) do
      complete_row(row, noun, "-")
    end
  end
  return dashed[noun]
end

-- The one of them that `word` ("-status") is; nil for none.
function commands.dashed_row(group, word)
  local verb <const> = word:match("^%-(%a+)$")
  for _, row in ipairs(verb and commands.dashed(group) or {}) do
    if row.verb == verb then
      return row
    end
  end
end

local TYPES <const> = { integer = true, object = true, size = true, duration = true }

-- What is wrong with a row by itself: a list of words, empty when nothing is.
function commands.faults(row)
  local faults, seen, optional = {}, {}, false
  local function need(good, what, ...)
    if not good then
      faults[#faults + 1] = what:format(...)
    end
  end
  need(type(row.summary) == "string" and not row.summary:match("%.$"), "summary")
  for index, argument in ipairs(row.arguments) do
    need(argument.name and argument.words, "argument %d lacks name or words", index)
    need(not optional or argument.optional, "a needed argument behind an optional one")
    need(not argument.many or index == #row.arguments, "`many` only for the last argument")
    optional = optional or argument.optional
  end
  for index, option in ipairs(row.options) do
    need(option.name and option.words, "option %d lacks name or words", index)
    need(option.value or not option.type, "option %d has a type and no value", index)
  end
  for _, list in ipairs({ row.arguments, row.options }) do
    for _, item in ipairs(list) do
      local name <const> = tostring(item.name)
      need(not seen[name], "name twice: %s", name)
      need(not item.type or TYPES[item.type], "%s is of no type there is", name)
      seen[name] = true
    end
  end
  return faults
end

-- Every row that is not hidden, for the self-test and the manual check.
function commands.all()
  local rows = {}
  for _, list in ipairs({ names, POWERVM }) do
    for _, noun in ipairs(list) do
      local group <const> = commands.noun(noun)
      table.move(group.rows, 1, #group.rows, #rows + 1, rows)
      if not group.powervm then
        table.move(commands.dashed(group), 1, #commands.dashed(group), #rows + 1, rows)
      end
    end
  end
  return rows
end

return commands
