-- node_far.lua - what `node add` and `node remove` do on the host of a node, by its shell.
--
-- The scripts are constant, and what they work with are words behind them: no name or folder is
-- ever read as a part of one. Each is for any POSIX shell, and looks before it touches.
--
-- What is made over there is noted in STATE/added, before it is made:
--
--   id ID          of whoever adds it: another's is not undone
--   node NAME
--   config PATH    made, or changed; as it was before, it is in STATE/added.conf
--   made PATH      a folder that was not there
--   kept PATH      one that was there, and empty
--   service        it runs by systemd
--
-- Nothing else is ever removed.

local execute <const> = require("vios.execute")
local parallel <const> = require("vios.parallel")

local node_far = {}

-- Always in quotes: ~ would be more than itself without.
local function quoted(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

node_far.quoted = quoted

-- All of them are told: PROGRAM CONFIG STATE RUN, and what they have more.
local HEAD <const> = [=[
LC_ALL=C; export LC_ALL; umask 077
program=$1 config=$2 state=$3 run=$4; shift 4
folder=${config%/*}
]=]

-- [REPOSITORY] -> lines "KEY VALUE"
local LOOK <const> = HEAD .. [=[
kind() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then echo absent
  elif [ ! -d "$1" ]; then echo other
  elif [ -n "$(ls -A "$1" 2>&1)" ]; then echo full
  else echo empty; fi
}
echo "folder $(kind "$folder")"
echo "state $(kind "$state")"
echo "run $(kind "$run")"
grep -q '^[[:space:]]*[^#[:space:]]' "$config" 2>/dev/null && echo "config set"
[ -f "$state/added" ] && sed -n 's/^node /node /p' "$state/added"
[ -z "$1" ] || [ -d "$1" ] || echo "repository absent"
[ -d /run/systemd/system ] && systemctl cat vios >/dev/null 2>&1 && echo "systemd yes"
echo "user $(id -u)"
set -- $SSH_CONNECTION
echo "address $3"
command -v "$program" >/dev/null && echo "program yes"
echo "version $("$program" daemon --version --json 2>/dev/null </dev/null)"
]=]

-- ID NODE TEXT SERVICE
local WRITE <const> = HEAD .. [=[
set -eu
note() { if [ -e "$1" ]; then echo "kept $1"; else echo "made $1"; fi; }
notes=$(note "$folder"; note "$state"; note "$run")
had=; [ -e "$state" ] || had=no
fail() { [ -z "$had" ] || rmdir "$state"; rmdir_folder; echo "$1" >&2; exit 1; }
rmdir_folder() { case $notes in "made $folder"*) rmdir "$folder";; esac; }
[ -e "$folder" ] || mkdir "$folder"
[ -e "$state" ] || mkdir "$state" || { had=; fail "$state cannot be made"; }
[ -z "$(ls -A "$state")" ] || { had=; notes=; fail "somebody else uses $state"; }
set -C
printf '%s\n' "id $1" "node $2" "config $config" "$notes" ${4:+"$4"} >"$state/added" ||
  fail "$state/added cannot be written"
[ ! -e "$config" ] || cp -p "$config" "$state/added.conf"
{ [ ! -e "$config" ] || { cat "$config"; echo; }; printf '%s\n' "$3"; } >"$config.added"
mv -f "$config.added" "$config"
]=]

-- [SERVICE]
local START <const> = HEAD .. [=[
if [ -n "$1" ]; then
  systemctl enable --now vios && exit 0
  journalctl -u vios -n 5 -o cat >&2; exit 1
fi
setsid "$program" daemon --config "$config" >>"$state/daemon.log" 2>&1 </dev/null &
daemon=$! looks=0
until "$program" --socket "$run/vios.sock" config get node </dev/null >/dev/null 2>&1; do
  if ! kill -0 "$daemon" 2>/dev/null; then tail -n 5 "$state/daemon.log" >&2; exit 1; fi
  looks=$((looks + 1))
  if [ "$looks" -gt 200 ]; then echo "it does not answer" >&2; exit 1; fi
  sleep 0.1
done
]=]

-- LINE: one that the notes must have. Exit status 10: there are no notes; 11: they are another's.
local NOTED <const> = HEAD .. [=[
notes=$state/added
[ -f "$notes" ] || exit 10
grep -qxF -e "$1" "$notes" || exit 11
]=]

-- LINE. What a path is noted as counts only where it is one of those that were told.
local REMOVE <const> = NOTED .. [=[
ours() {
  find /proc/[0-9]* -maxdepth 1 -name exe \( -lname "*/vios/$1" -o -lname "*/vios/$1 (deleted)" \) \
    2>/dev/null | while IFS=/ read -r _ _ pid _; do
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -e "$2" && echo "$pid"
  done
}
stop() {
  looks=0
  while pids=$(ours "$1" "$2"); [ -n "$pids" ]; do
    looks=$((looks + 1))
    [ "$looks" != 1 ] || kill -TERM $pids 2>/dev/null
    [ "$looks" != 100 ] || kill -KILL $pids 2>/dev/null
    if [ "$looks" -gt 200 ]; then echo "process $pids does not end" >&2; exit 1; fi
    sleep 0.1
  done
}
noted() { grep -qxF -e "$1" "$notes"; }
emptied() {
  if noted "made $1" || noted "kept $1"; then
    [ -L "$1" ] || [ ! -d "$1" ] || find "$1" -xdev -mindepth 1 -maxdepth 1 ! -path "$notes" \
      -exec rm -rf --one-file-system -- {} +
  fi
}
noted service && systemctl disable --now vios >/dev/null 2>&1
stop daemon "$config"
stop io "$run"
set -e
if noted "config $config"; then
  if [ -f "$state/added.conf" ]; then mv -f "$state/added.conf" "$config"
  else rm -f "$config"; fi
  rm -f "$config.added"
fi
emptied "$run"
! noted "made $run" || [ ! -d "$run" ] || rmdir "$run"
emptied "$state"
has_state=; ! noted "made $state" || has_state=made
has_folder=; ! noted "made $folder" || has_folder=made
rm -f "$notes"
[ -z "$has_state" ] || rmdir "$state"
[ -z "$has_folder" ] || rmdir "$folder"
]=]

local PROGRAM <const> = "vios"

-- The program there: that of VIOS_REMOTE, which is a command of that shell.
local function program()
  local remote <const> = os.getenv("VIOS_REMOTE") or ""
  return remote:match("^(%S*vios)%s") or PROGRAM
end

-- Where a node is: { host =, config =, state =, run = }.
function node_far.place(host, dir)
  return {
    host = "ssh:" .. host:gsub("^ssh:", ""),
    dir = dir,
    config = (dir or "/etc/vios") .. "/vios.conf",
    state = dir and dir .. "/state" or "/var/lib/vios",
    run = dir and dir .. "/run" or "/run/vios",
  }
end

-- One function of parallel.lua, whose calls wait: what it returns.
local function alone(work)
  local results <const>, failed <const> = parallel.run({ work })
  return results[1], failed and failed[1]
end

-- { out, err, status }, or nil, err
local function run(place, script, options, ...)
  local words = { "sh", "-c", quoted(script), PROGRAM }
  for _, word in ipairs({ program(), place.config, place.state, place.run, ... }) do
    words[#words + 1] = quoted(word)
  end
  local with <const> = setmetatable({ on = place.host }, { __index = options })
  return alone(function() return execute.shell(table.concat(words, " "), with) end)
end

-- true, or nil, err with what the host said.
local function must(place, what, result, err)
  if not result then
    return nil, err
  elseif result.status == 0 then
    return true
  end
  local said <const> = result.err:gsub("%s+$", ""):gsub("%s*\n%s*", " | ")
  return nil, vios.error("io", what .. (said ~= "" and ": " .. said or ""),
    { object = place.host:sub(5) })
end

-- What is there: a table of the lines of LOOK.
function node_far.look(place, repository, options)
  local result <const>, err = run(place, LOOK, options, repository)
  if not result then
    return nil, err
  end
  local seen = {}
  for key, value in result.out:gmatch("(%l+) ([^\n]*)") do
    seen[key] = value
  end
  return seen
end

function node_far.write(place, id, node, text, service, options)
  return must(place, "its configuration cannot be written",
    run(place, WRITE, options, id, node, text, service and "service" or ""))
end

function node_far.start(place, service, options)
  return must(place, "its daemon does not start",
    run(place, START, options, service and "service" or ""))
end

-- Whether the notes there have the line; false: there are none, or another's.
function node_far.is_noted(place, line, options)
  local result <const>, err = run(place, NOTED, options, line)
  if not result then
    return nil, err
  end
  return result.status == 0
end

-- Stops and removes what was noted with the line; nothing, when there is no such note.
function node_far.remove(place, line, options)
  local result <const>, err = run(place, REMOVE, options, line)
  if result and (result.status == 10 or result.status == 11) then
    return true
  end
  return must(place, "not all that was made there can be removed", result, err)
end

-- A call of the daemon there; nothing of it is on a command line.
function node_far.call(place, method, parameters, timeout_ms)
  local client <close> = vios.rpc.client(place.host,
    ("%s --socket %s rpc"):format(quoted(program()), quoted(place.run .. "/vios.sock")))
  return alone(function()
    return parallel.call({ client = client, method = method, parameters = parameters,
      timeout_ms = timeout_ms })
  end)
end

return node_far
