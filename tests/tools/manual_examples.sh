#!/bin/bash
# Prints the examples of the manual, in order, a line each: the exit status that it says, a tab, and
# the command.
#
#     manual_examples.sh [FILE]        vios.1 otherwise
#
# They are the lines of the literal blocks of the section EXAMPLES; one that ends with a backslash
# goes on in the next. `.\" exit status N` before a block is for that block.
set -euo pipefail

awk '
/^\.Sh / { within = $2 == "EXAMPLES" }
!within { next }
/^\.\\" exit status [0-9]+$/ { status = $NF; next }
/^\.Bd -literal/ { literal = 1; next }
/^\.Ed/ { literal = 0; status = 0; next }
literal {
    gsub(/\\&/, "")
    gsub(/\\\(dq/, "\"")
    gsub(/\\e/, "\\")
    line = line $0
    if (sub(/\\$/, "", line)) {
        next
    }
    printf "%d\t%s\n", status, line
    line = ""
}' "${1:-$(dirname "$0")/../../vios.1}"
