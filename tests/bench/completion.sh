#!/usr/bin/env bash
# How long it takes to complete the name of one of 10,000 LPARs, typed all but its last two digits:
# at the prompt, where the shell is connected, and from bash, which starts a `vios` for it. Aim: 50
# ms each.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
LPARS=${QUICK:+2000}
LPARS=${LPARS:-10000}
ROUNDS=20

"$BUILD/bin/vios" lab up 1 --dir "$DIR" >/dev/null
truncate -s 1M "$WORK/disk"
cat >"$WORK/create.lua" <<'END'
local count <const>, disk <const> = tonumber(arg[1]), arg[2]
local functions = {}
for i = 1, count do
  functions[i] = function()
    return vios.lpar.create({ name = ("guest%05d"):format(i), memory = "16M", disk = { disk } })
  end
end
local _, failed = vios.parallel(functions, { at_once = 4 })
assert(not failed, failed and tostring(select(2, next(failed))))
END
vios "$WORK/create.lua" "$LPARS" "$WORK/disk"

cat >"$WORK/prompt.lua" <<'END'
local complete <const> = require("vios.completion").words
for round = 0, tonumber(arg[1]) do
  local begin <const> = vios.os.now_ms()
  local found <const> = complete({ "lpar", "show" }, "guest013")
  assert(#found == 100, #found)
  if round > 0 then -- the one before connects
    print(vios.os.now_ms() - begin)
  end
end
END
report completion_prompt_ms "$(vios "$WORK/prompt.lua" "$ROUNDS" | median)" aim 50 lower \
    "{\"lpars\": $LPARS}"

for ((round = 0; round < ROUNDS; round++)); do
    timed "$WORK/bash" vios complete -- lpar show guest013
done
report completion_bash_ms "$(median <"$WORK/bash")" aim 50 lower "{\"lpars\": $LPARS}"
