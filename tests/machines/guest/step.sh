#!/bin/sh
# Takes one step of a machine: `step NAME COMMAND...`. The command writes to a file and not to the serial line, which is
# slow, and which is none of its business.
name=$1
shift
output=$(mktemp)
echo "@machine begin $name"
start=$(date +%s)
cd "$HOME" || exit 1
"$@" > "$output" 2>&1 < /dev/null
status=$?
end=$(date +%s)
cat "$output"
# Whatever the output ends with, a mark starts a line.
echo
echo "@machine end $name $status $((end - start))"
