#!/bin/bash
# Proves: none of the ways out of the restricted shell leads out: as SSH's command, as the login
# shell's, as a line, on a terminal, by the environment, by SSH's own options. Each is refused with
# an exit status, and none makes the canary that all of them try to make.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/sshd.sh"
sshd_need
need expect
ME=$(id -un)
HOME_DIR=$DIR/home CANARY=$DIR/home/canary
mkdir -p "$HOME_DIR/vios" "$HOME_DIR/.config/vios" "$HOME_DIR/.ssh"
ln -s "$VIOS" "$DIR/rvios"
"$BUILD/tests/tools/fake_daemon" "$DIR" &
PIDS+=($!)
SOCKET=$DIR/vios.sock
await "$VIOS --socket $SOCKET node list" 10 || bail "the daemon answers"

# What a user may have in its folder: each makes the canary when it is run.
MAKE="io.open('$CANARY', 'w'):close()"
for file in x.lua init.lua .config/vios/init.lua vios/cli.lua vios/restricted.lua cli.lua; do
    echo "$MAKE" >"$HOME_DIR/$file"
done
echo "$MAKE" >"$HOME_DIR/lines"
printf 'edit on\nbind -v\nbind ^A vi-histedit\n' >"$HOME_DIR/.editrc"
printf '#!/bin/sh\n: >%s\n' "$CANARY" >"$HOME_DIR/vi"
cp "$HOME_DIR/vi" "$HOME_DIR/.ssh/rc"
chmod 755 "$HOME_DIR/vi" "$HOME_DIR/.ssh/rc"

# The environment of all of them: what a user could have got into it.
DIRTY=(HOME="$HOME_DIR" PATH="$HOME_DIR:$PATH" LUA_INIT="$MAKE" LUA_INIT_5_4="$MAKE"
    LUA_PATH="$HOME_DIR/?.lua" LUA_CPATH="$HOME_DIR/?.so" EDITOR="$HOME_DIR/vi"
    VISUAL="$HOME_DIR/vi" PAGER="$HOME_DIR/vi" EDITRC="$HOME_DIR/.editrc" TERM=xterm
    XDG_CONFIG_HOME="$HOME_DIR/.config" XDG_STATE_HOME="$HOME_DIR/state" ENV="$HOME_DIR/vi"
    BASH_ENV="$HOME_DIR/vi" VIOS_SOCKET="$DIR/other.sock" VIOS_LAB_DIR="$HOME_DIR/lab"
    TERMINFO="$HOME_DIR" LC_ALL=C.UTF-8 TMPDIR="$HOME_DIR" SHELL="$HOME_DIR/vi")

# shellcheck disable=SC2120
restricted() { # WORD...
    timeout 30 env -C "$HOME_DIR" "${DIRTY[@]}" "$VIOS" --restricted --socket "$SOCKET" "$@"
}

in_order() { # WHAT: the command failed, and nothing came of it
    local bad=""
    [ "$STATUS" != 0 ] || bad="it exits 0"
    [ ! -e "$CANARY" ] || bad="$bad the canary is there"
    [ ! -e "$HOME_DIR/lab" ] && [ ! -e "$HOME_DIR/state" ] || bad="$bad it made folders"
    rm -rf "$CANARY" "$HOME_DIR/lab" "$HOME_DIR/state"
    [ -z "$bad" ] || printf '%s\n' "$1: $bad" "stdout: $OUT" "stderr: $ERR" | sed 's/^/# /'
    [ -z "$bad" ]
}

# The same text three ways.
COUNT=0
escape() { # TEXT
    local bad=0 text=$1
    COUNT=$((COUNT + 1))
    SSH_ORIGINAL_COMMAND=$text run restricted
    in_order "SSH's command" || bad=1
    run restricted -c "$text"
    in_order "the login shell's command" || bad=1
    printf '%s\n' "$text" >"$DIR/text"
    # shellcheck disable=SC2119
    restricted <"$DIR/text" >"$DIR/.out" 2>"$DIR/.err"
    STATUS=$? OUT=$(cat "$DIR/.out") ERR=$(cat "$DIR/.err")
    in_order "a line" || bad=1
    tap_line "$bad" "$(printf '%q' "$text" | cut -c 1-90)"
}

run restricted -c 'node list'
is "what is allowed is done" "$STATUS" 0

# --- Lua, in every disguise ---
escape "$MAKE"
escape "return $MAKE"
escape "= $MAKE"
escape "vios -e \"$MAKE\""
escape "-e \"$MAKE\""
escape "--json -e \"$MAKE\""
escape "vios.lab.up{}"
escape "lab.up{}"
escape "vios.lab_up(1)"
escape "os.execute(': >$CANARY')"
escape "io.popen(': >$CANARY')"
escape "node[$MAKE]"
escape "node=$MAKE"
escape "node:list($MAKE)"
escape "node list --field \"\$($MAKE)\" --field [[]]"
escape "loadfile('x.lua')()"
escape "require('cli')"
escape "for _ = 1, 1 do $MAKE end"
escape "(function() $MAKE end)()"
escape "cluster set placement x.lua"
escape "on n1 $MAKE"
escape "watch 0.1 $MAKE"
escape "help \"\$($MAKE)\""
# --- files and scripts ---
escape "x.lua"
escape "vios x.lua"
escape "./x.lua"
escape "$HOME_DIR/x.lua"
escape "source lines"
escape "watch 1 source lines"
escape "on n1 source lines"
escape "history"
escape "self-test"
escape "complete -- lpar create g --kernel $HOME_DIR/"
escape "ffdc export 7 $CANARY"
escape "ffdc list --dir $HOME_DIR"
escape "db restore lines --yes"
escape "db check lines"
escape "db check --config lines"
escape "cluster create c --passphrase-file lines"
escape "lab up --dir $HOME_DIR/lab"
escape "lab up"
escape "daemon --config lines"
escape "vios daemon --config lines"
escape "node list --socket $DIR/other.sock"
escape "--socket $DIR/other.sock node list"
escape "vios --socket $SOCKET node list"
# --- other programs, and what a shell would make of it ---
escape "sh -c ': >$CANARY'"
escape "/bin/sh"
escape "bash"
escape "$HOME_DIR/vi"
escape "!: >$CANARY"
escape "node list; : >$CANARY"
escape "node list;: >$CANARY"
escape "node list && : >$CANARY"
escape "node list || : >$CANARY"
escape "node list | tee $CANARY"
escape "node list > $CANARY"
escape "node list >$CANARY"
escape "node list & : >$CANARY"
escape "node show \$(: >$CANARY)"
escape "\$(: >$CANARY)"
escape "node show \`: >$CANARY\`"
escape "\`: >$CANARY\`"
escape "node show \${IFS:=\$(: >$CANARY)}"
escape $'node list\n: >'"$CANARY"
escape $'node list\r: >'"$CANARY"
escape $'lab up\nnode list'
escape "node list -- ; : >$CANARY"
escape "-- $HOME_DIR/vi"
escape "node list 'an open quote"
escape "node list \\"
escape "'node list; : >$CANARY'"
escape "\"lab\" 'up'"
escape "l\\ab up"
escape "LAB up"
escape $'l\u0430b up'                 # a Cyrillic letter
escape $'\uff4cab up'                 # a wide one
escape $'node list\u037e : >'"$CANARY" # a Greek question mark
escape $'\u00a0lab up'                # a blank that is none
escape $'lab\u200bup'
escape $'\e[200~lab up\e[201~'
escape $'\xff\xfelab up'
# --- files by SSH ---
escape "scp -t $CANARY"
escape "scp -f /etc/passwd"
escape "/usr/lib/openssh/sftp-server"
escape "internal-sftp"
escape "rsync --server . $CANARY"
escape "git-upload-pack x"
# --- the options of the program itself ---
escape "vios -c 'lab up'"
escape "-c 'lab up'"
escape "vios --restricted -c 'lab up'"
escape "vios --restricted --socket $SOCKET node list"
escape "vios --restricted vios --restricted lab up"
escape "vios --restricted --role root node list"
escape "vios vios lab up"
escape "ioscli lab up"
escape "rpc --socket $SOCKET"
ok "$COUNT are tried" [ "$COUNT" -ge 40 ]

arguments() { # WORD...
    run restricted "$@"
    ok "arguments: $(printf '%q ' "$@" | cut -c 1-80)" in_order "arguments"
}
arguments -e "$MAKE"
arguments x.lua
arguments -c 'lab up' -c 'node list'
arguments -c 'node list' lab up
arguments -c 'node list' -e "$MAKE"
arguments --role
arguments --role root -c 'node list'
arguments -c
arguments daemon
arguments -- lab up
printf 'node list\0lab up\n%s\n' "$MAKE" >"$DIR/text"
# shellcheck disable=SC2119
restricted <"$DIR/text" >"$DIR/.out" 2>"$DIR/.err"
STATUS=$?
ok "a NUL in a line" in_order "a NUL"
for name in rvios -rvios; do
    echo "$MAKE" >"$DIR/text"
    # shellcheck disable=SC2016 # perl's
    env -C "$HOME_DIR" "${DIRTY[@]}" perl -e 'exec {$ARGV[1]} $ARGV[0]' -- "$name" "$DIR/rvios" \
        <"$DIR/text" >"$DIR/.out" 2>"$DIR/.err"
    STATUS=$? ERR=$(cat "$DIR/.err")
    ok "as $name" in_order "as $name"
    like "is restricted, too" "$ERR" "has commands only"
done

# --- on a terminal ---
cat >"$DIR/terminal.exp" <<END
set timeout 20
proc must {what pattern} {
    expect {
        -re \$pattern {}
        timeout { puts "\nnot seen: \$what"; exit 0 }
        eof { puts "\nended: \$what"; exit 0 }
    }
}
cd $HOME_DIR
spawn env $(printf '%q ' "${DIRTY[@]}") $VIOS --restricted --socket $SOCKET
must "the prompt" "vios n1> "
# editline's commands: vi's keys, and an editor for the line
foreach keys {"\033x" "\xc3\xb8" "\030\005" "\033v" "\001" "\032"} {
    send -- "\${keys}bind -v\rnode lis\033v:q\r\003"
    must "the prompt" "vios n1> "
}
foreach line {"os.execute(': >canary')" "source lines" "!: >canary" "history" "require 'cli'" \
    "lpar create g --kernel ./\t" "lab up"} {
    send -- "\$line\r"
    must "the prompt behind \$line" "vios n1> "
}
send "quit\r"
expect eof
exit 7
END
run expect "$DIR/terminal.exp"
ok "the keys and lines of a terminal" in_order "a terminal"
is "all of them were typed" "$STATUS" 7

# --- by SSH's own ways ---
sshd_key key
echo "restrict,pty,command=\"$VIOS --restricted --socket $SOCKET\" $(cat "$DIR/ssh/key.pub")" \
    >"$DIR/ssh/authorized/$ME"
sshd_up "Subsystem sftp internal-sftp" "AcceptEnv *"
run ssh_as key "$ME" node list
[ "$STATUS" = 0 ] || {
    echo "# this user's sshd lets nobody in: $(tail -n 1 "$DIR/ssh/sshd.log")"
    finish
}
by_ssh() { # WHAT OPTION... -- WORD...
    local what=$1
    shift
    SSH_OPTIONS=()
    while [ "$1" != -- ]; do
        SSH_OPTIONS+=("$1")
        shift
    done
    shift
    run timeout 60 env "${DIRTY[@]}" \
        ssh -F "$DIR/ssh/config" -i "$DIR/ssh/key" -l "$ME" "${SSH_OPTIONS[@]}" gate "$@"
    ok "ssh: $what" in_order "$what"
}
by_ssh "variables, all of them" -o "SendEnv=LUA_* VIOS_* PAGER EDITOR HOME" -- "$MAKE"
by_ssh "a variable for the daemon's socket" -o "SetEnv=VIOS_SOCKET=$DIR/none" -- lab up
by_ssh "the original command, sent along" -o "SetEnv=SSH_ORIGINAL_COMMAND=node list" -- lab up
by_ssh "a subsystem" -s -- sftp
by_ssh "a subsystem of another name" -s -- "sh -c ': >$CANARY'"
by_ssh "to the daemon's socket" -W "$SOCKET:0" --
by_ssh "to a port" -W "127.0.0.1:$SSH_PORT" --
by_ssh "a forwarded socket" -o ExitOnForwardFailure=yes -R "$DIR/forwarded:$SOCKET" -- node list
ok "which is not there" [ ! -e "$DIR/forwarded" ]
by_ssh "a tunnel" -w 0:0 -o ExitOnForwardFailure=yes -- lab up
by_ssh "a command of the user's proxy" -o "PermitLocalCommand=yes" -tt -- "~!: >$CANARY"
by_ssh "a terminal, and Lua" -tt -- "$MAKE"
finish
