-- nearest.lua - what somebody who mistyped may have meant.

local nearest = {}

local LONGEST <const> = 64

-- Edits between two words: insert, delete, change, or swap two neighbours.
function nearest.distance(a, b)
  if #a > LONGEST or #b > LONGEST then
    return LONGEST
  end
  local before, row, older = {}, {} -- rows of the table
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    older = before
    before, row = row, { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + same)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], older[j - 2] + 1)
      end
    end
  end
  return row[#b]
end

-- The names near to `word`, best first, at most three.
function nearest.find(word, names)
  local found = {}
  local allowed = math.max(1, #word // 3)
  for index, name in ipairs(names) do
    local apart = math.abs(#word - #name)
    local distance = apart > allowed and apart or nearest.distance(word, name)
    if #word >= 2 and name:sub(1, #word) == word then
      distance = 0
    end
    if distance <= allowed then
      found[#found + 1] = { name = name, distance = distance, index = index }
    end
  end
  table.sort(found, function(a, b)
    return a.distance < b.distance or (a.distance == b.distance and a.index < b.index)
  end)
  local best = {}
  for i = 1, math.min(3, #found) do
    best[i] = found[i].name
  end
  return best
end

-- `: did you mean "a" or "b"?`, or "" when nothing is near.
function nearest.hint(word, names)
  local found = nearest.find(word, names)
  if #found == 0 then
    return ""
  end
  return ': did you mean "' .. table.concat(found, '" or "') .. '"?'
end

return nearest
