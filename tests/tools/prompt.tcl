# prompt.tcl - what the tests of the prompt share: the shell on a pseudo-terminal, and TAP.
# Sourced by tests/e2e/prompt_*.exp.

log_user 0
set count 0
set bad 0
set timeout 20

proc build_folder {} {
    global env
    if {[info exists env(BUILD)]} { return $env(BUILD) }
    return [file normalize [file join [file dirname [info script]] .. .. build]]
}

set vios [build_folder]/bin/vios
set dir [exec mktemp -d]
set daemon_pid ""
set env(TERM) xterm
set env(XDG_STATE_HOME) $dir/state
set env(VIOS_LAB_DIR) $dir/lab
set env(HOME) $dir
unset -nocomplain env(XDG_CONFIG_HOME)

# One TAP line.
proc ok {good what} {
    global count bad
    incr count
    if {!$good} { incr bad }
    puts "[expr {$good ? {ok} : {not ok}}] $count - $what"
}

# Waits until the terminal shows `text`.
proc see {text what} {
    global expect_out
    expect {
        -ex $text { ok 1 $what }
        timeout { puts "# no \"$text\""; ok 0 $what }
        eof { puts "# the shell ended, no \"$text\""; ok 0 $what }
    }
}

proc start_daemon {} {
    global dir daemon_pid env
    set daemon_pid [exec [build_folder]/tests/tools/fake_daemon $dir >/dev/null 2>@stderr &]
    set env(VIOS_SOCKET) $dir/vios.sock
    for {set i 0} {$i < 200 && ![file exists $dir/vios.sock]} {incr i} { after 50 }
}

proc stop_daemon {} {
    global daemon_pid
    if {$daemon_pid ne ""} { catch {exec kill -9 $daemon_pid}; set daemon_pid "" }
}

# A shell; spawn_id is the caller's.
proc start_shell {} {
    global vios
    uplevel 1 [list spawn -noecho $vios]
}

proc set_state {node state} {
    global dir
    set file [open $dir/STATE-$node w]
    puts $file $state
    close $file
}

# The plan, and the end.
proc finish {} {
    global count bad dir
    stop_daemon
    catch {exec rm -rf $dir}
    puts "1..$count"
    exit [expr {$bad > 0}]
}
