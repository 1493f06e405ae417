#!/usr/bin/env bash
# A plain command on 32 hosts by ssh: the first time, and again in the same shell, beside what clush
# and pdsh take for it each time; and the memory that a kept session takes. The hosts are this
# machine, behind one sshd of the bench's own on loopback. Aims: first no slower than either, again
# at least 10 times faster.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need ssh ssh-keygen perl clush pdsh jq
SSHD=$(command -v sshd || echo /usr/sbin/sshd)
HOSTS=32
ROUNDS=${QUICK:+3}
ROUNDS=${ROUNDS:-7}

ssh-keygen -q -t ed25519 -N '' -f "$WORK/host"
ssh-keygen -q -t ed25519 -N '' -f "$WORK/key"
cat >"$WORK/sshd_config" <<END
HostKey $WORK/host
AuthorizedKeysFile $WORK/key.pub
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
MaxStartups 200
SetEnv HOME=$WORK
END
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
perl tests/tools/sshd_listener.pl "$WORK/port" "$SSHD" -i -f "$WORK/sshd_config" \
    -E "$WORK/sshd.log" &
PIDS+=("$!")
for ((tries = 0; tries < 500; tries++)); do
    [ ! -s "$WORK/port" ] || break
    sleep 0.02
done
cat >"$WORK/config" <<END
Host h*
    HostName 127.0.0.1
    Port $(cat "$WORK/port")
    User $(id -un)
    IdentityFile $WORK/key
    IdentitiesOnly yes
    UserKnownHostsFile $WORK/known
    LogLevel ERROR
END
echo "[127.0.0.1]:$(cat "$WORK/port") $(cut -d' ' -f1,2 "$WORK/host.pub")" >"$WORK/known"
export VIOS_SSH_CONFIG=$WORK/config PDSH_SSH_ARGS_APPEND="-F $WORK/config"
unset SSH_AUTH_SOCK VIOS_SOCKET
export VIOS_LAB_DIR=$WORK/no-lab

# The same shell twice, in ms; and what it grew by for each session, in KiB.
cat >"$WORK/ours.lua" <<'END'
local hosts <const> = arg[1]
local function rss()
  return tonumber(vios.os.read_file("/proc/self/status"):match("VmRSS:%s*(%d+)"))
end
local function all()
  local begin <const> = vios.os.now_ms()
  local _, failed = vios.on(hosts, function(host) return host:shell("true") end)
  assert(not failed, failed and tostring(select(2, next(failed))))
  return vios.os.now_ms() - begin
end
local before <const> = rss()
local first <const> = all()
local grown <const> = rss() - before
local again = {}
for i = 1, 5 do
  again[i] = all()
end
table.sort(again)
print(first, again[3], grown)
END

ours() { "$BUILD/bin/vios" "$WORK/ours.lua" "h[1-$HOSTS]"; }
with_clush() { clush -S -q -f 64 -o "-F $WORK/config" -w "h[1-$HOSTS]" true; }
with_pdsh() { pdsh -S -R ssh -f 64 -w "h[1-$HOSTS]" true; }

ours >/dev/null # whatever is cached now is so for all
for ((round = 0; round < ROUNDS; round++)); do
    ours >>"$WORK/ours"
    timed "$WORK/clush" with_clush
    timed "$WORK/pdsh" with_pdsh
done
column() { awk -v n="$1" '{ print $n }' "$WORK/ours"; }
first=$(column 1 | median)
again=$(column 2 | median)
more() { jq -cn --argjson spread "$(column "$1" | spread)" '{unit: "ms", spread: $spread}'; }
report ssh_32_hosts_first "$first" clush "$(median <"$WORK/clush")" lower "$(more 1)"
report ssh_32_hosts_first "$first" pdsh "$(median <"$WORK/pdsh")" lower "$(more 1)"
report ssh_32_hosts_again "$again" clush "$(median <"$WORK/clush")" lower "$(more 2)"
report ssh_32_hosts_again "$again" pdsh "$(median <"$WORK/pdsh")" lower "$(more 2)"
report ssh_session_kib "$(($(column 3 | median) / HOSTS))" aim 256 lower
