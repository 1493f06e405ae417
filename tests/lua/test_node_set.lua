-- Proves: sets of nodes are what they say, in order, each once; what is wrong in one is told; and
-- many names are folded into few words.

local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
local is <const> = tap.is
local node_set <const> = require("vios.node_set")

local groups <const> = { all = { "n1", "n2", "n3" }, rack = "n[1-2],x", loop = "@loop" }
local function group(name)
  return groups[name], not groups[name] and vios.error("not_found", "there is none") or nil
end

local function expanded(text)
  local names, err = node_set.expand(text, group)
  return names and table.concat(names, " ") or tostring(err)
end

for text, names in pairs({
  ["n1"] = "n1",
  ["n2,n1,n2"] = "n2 n1",
  ["n[1-3]"] = "n1 n2 n3",
  ["n[08-11]"] = "n08 n09 n10 n11",
  ["r[1,3]n[1-2]b"] = "r1n1b r1n2b r3n1b r3n2b",
  ["@all,!n2"] = "n1 n3",
  ["!n2"] = "n1 n3",
  ["!n1,!n3"] = "n2",
  ["!@rack,@all,y"] = "n3 y",
  ["@rack"] = "n1 n2 x",
  ["root@h[1-2],ssh:h3"] = "root@h1 root@h2 ssh:h3",
  ["n1,!n1"] = "",
}) do
  is(expanded(text), names, text)
end

for text, words in pairs({
  ["n[1-2"] = "brackets do not match",
  ["n1]"] = "brackets do not match",
  ["n[[1]]"] = "brackets do not match",
  ["n[2-1]"] = "it is no range",
  ["n[a]"] = "it is no range",
  ["n[]"] = "it is no range",
  ["n[1-5000]"] = "more than 4096 names",
  ["a[1-100]b[1-100]"] = "more than 4096 names",
  ["n[99999999999]"] = "it is no range",
  ["n1,,n2"] = "it is no name of a node",
  ["-oProxyCommand=x"] = "it is no name of a node",
  ["n1 n2"] = "it is no name of a node",
  ["@none"] = "there is none",
  ["@loop"] = "groups of groups",
}) do
  tap.ok(expanded(text):match(words), text .. ": " .. words)
end

for names, text in pairs({
  ["n1 n2 n3"] = "n[1-3]",
  ["n1 n3 n5 n4"] = "n[1,3-5]",
  ["n08 n09 n10"] = "n[08-09],n10",
  ["x n1"] = "x,n1",
  ["a1b a2b"] = "a[1-2]b",
}) do
  local list = {}
  for name in names:gmatch("%S+") do
    list[#list + 1] = name
  end
  is(node_set.fold(list), text, "folded: " .. text)
end
tap.finish()
