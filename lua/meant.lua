-- meant.lua - what somebody meant who typed words that are no command, as an error that says so.
-- nearest.lua knows typing errors; here are the habits of other shells, words in another order, and
-- Lua.

local vios <const> = require("vios")
local commands <const> = require("vios.commands")
local nearest <const> = require("vios.nearest")

local meant = {}

local SYNONYMS <const> = { exit = "quit", bye = "quit", logout = "quit", man = "help" }

-- The first that the noun has is meant.
local VERB_SYNONYMS <const> = {
  delete = { "remove", "down" }, destroy = { "remove", "down" }, rm = { "remove" },
  ls = { "list" }, info = { "show" }, get = { "show" }, status = { "show" },
  add = { "create" }, new = { "create" }, create = { "up" },
  boot = { "start" }, run = { "start" }, launch = { "start" }, start = { "up" },
  shutdown = { "stop" }, kill = { "stop" }, stop = { "down" },
  reboot = { "reset" },
}

local function usage(message, hint)
  return nil, vios.error("usage", message, { hint = hint })
end

local function did_you_mean(message, command, hint)
  return usage(message .. ': did you mean "' .. command .. '"?', hint)
end

local function synonym(group, word)
  for _, verb in ipairs(VERB_SYNONYMS[word] or {}) do
    if group.by_verb[verb] then
      return verb
    end
  end
end

-- The commands that have this verb, or else those with one that stands for it.
local function with_verb(word)
  local found, similar = {}, {}
  for _, noun in ipairs(word and commands.nouns() or {}) do
    local group <const> = commands.noun(noun)
    if group.by_verb[word] then
      found[#found + 1] = noun .. " " .. word
    elseif synonym(group, word) then
      similar[#similar + 1] = noun .. " " .. synonym(group, word)
    end
  end
  return #found > 0 and found or similar
end

-- `node.list()` as it is written in a Lua file.
local function is_lua(word)
  local first <const> = word:match("^([%a_][%w_]*)[.:(]")
  return first and (rawget(_G, first) ~= nil or commands.noun(first) ~= nil)
end

-- nil and an error for a word that is no noun; `behind`: the word behind it, if any.
function meant.noun(word, behind)
  local none <const> = 'no command "' .. word .. '"'
  local of_word <const>, of_behind <const> = with_verb(word), with_verb(behind)
  if SYNONYMS[word] then
    return did_you_mean(none, SYNONYMS[word])
  elseif commands.row(behind, word) then -- list node
    return did_you_mean(none, behind .. " " .. word)
  elseif #of_word == 1 then -- start web1
    return did_you_mean(none, of_word[1])
  elseif #of_word > 1 then -- list
    return usage(none, "one of: " .. table.concat(of_word, ", "))
  elseif #of_behind == 1 then -- web1 start
    return did_you_mean(none, of_behind[1] .. " " .. word)
  elseif is_lua(word) and not require("vios.restricted").on() then
    return usage(none, "if it is Lua, use: vios -e '" .. word .. "'")
  end
  local ours <const> = require("vios.powervm").elsewhere[word]
  if ours then
    return usage(none, "here it is: " .. ours)
  end
  return usage(none .. nearest.hint(word, require("vios.aliases").beginnings()), 'see "help"')
end

-- The same for one that is no verb of the noun, or nil: there is none.
function meant.verb(group, word, behind)
  local hint <const> = "one of: " .. table.concat(group.verbs, ", ")
  if not word then
    return usage(group.noun .. " needs a verb", hint)
  end
  local none <const> = group.noun .. ' has no verb "' .. word .. '"'
  if word == "help" then
    return did_you_mean(none, "help " .. group.noun, hint)
  elseif synonym(group, word) then
    return did_you_mean(none, synonym(group, word), hint)
  elseif group.by_verb[behind or ""] then -- lpar web1 start
    return did_you_mean(none, group.noun .. " " .. behind .. " " .. word, hint)
  end
  return usage(none .. nearest.hint(word, group.verbs), hint)
end

-- An error for a word that looks like a verb of PowerVM, or nil: it does not.
function meant.dashed_verb(group, word)
  local ours <const> = require("vios.powervm").elsewhere[group.noun .. " " .. word]
  local _, err
  if ours then
    _, err = usage('no command "' .. group.noun .. " " .. word .. '"', "here it is: " .. ours)
  elseif group.powervm then
    _, err = meant.verb(group, word:gsub("^%-+", ""))
  end
  return err
end

return meant
