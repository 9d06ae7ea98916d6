#!/bin/sh
# Takes one step of a machine: `step NAME COMMAND...`. The command writes to a file, which is copied to the serial line
# meanwhile: the line is slow, and none of the command's business.
name=$1
shift
output=$(mktemp)
echo "@machine begin $name"
start=$(date +%s)
cd "$HOME" || exit 1
# tail(1) reads what is left when the process that it watches ends; this one stands for the command, which is not put
# into the background since a shell lets such processes ignore signals.
sleep 86400 &
running=$!
tail -n +1 -s 0.3 -f --pid=$running "$output" &
copying=$!
"$@" > "$output" 2>&1 < /dev/null
status=$?
kill $running
wait $copying
end=$(date +%s)
# Whatever the output ends with, a mark starts a line.
echo
echo "@machine end $name $status $((end - start))"
