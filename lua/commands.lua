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
--           { name = "disk", value = "FILE", many = true, words = "…", complete = "file" },
--         },
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
-- words.
-- `functions` of the noun's table are Lua functions beside the commands: vios.event.on.
-- A noun with `verb = nil` in its only row is a word by itself (`quit`).
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
-- The shell's own words: lua/builtins.lua has them all. The hidden ones are for programs.
local WORDS <const> = { "help", "history", "watch", "source", "on", "quit" }
local HIDDEN <const> = { "self-test", "rpc", "complete" }

local commands = {}
local loaded = {}
local is_file <const>, is_word <const> = {}, {}
local names <const> = table.move(WORDS, 1, #WORDS, #NOUNS + 1, { table.unpack(NOUNS) })

for _, noun in ipairs(NOUNS) do
  is_file[noun] = true
end
for _, list in ipairs({ WORDS, HIDDEN }) do
  for _, word in ipairs(list) do
    is_word[word] = true
  end
end

-- The names of all nouns but the hidden ones, in order.
function commands.nouns()
  return names
end

-- The noun's table, each row with its `name` and the `method` of that name, and `by_verb` and
-- `verbs`; nil when there is none.
function commands.noun(name)
  if loaded[name] or not (is_file[name] or is_word[name]) then
    return loaded[name]
  end
  local group <const> = is_word[name] and require("vios.builtins")[name]
    or require("vios." .. name)
  group.by_verb, group.verbs = {}, {}
  for _, row in ipairs(group.rows) do
    row.name = row.verb and (group.noun .. " " .. row.verb) or group.noun
    row.method = row.name:gsub(" ", ".")
    row.arguments = row.arguments or {}
    row.options = row.options or {}
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

-- Every row that is not hidden, for the self-test and the manual check.
function commands.all()
  local rows = {}
  for _, noun in ipairs(commands.nouns()) do
    for _, row in ipairs(commands.noun(noun).rows) do
      rows[#rows + 1] = row
    end
  end
  return rows
end

return commands
