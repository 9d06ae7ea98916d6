# Copies a program of several files.
set -eu
mkdir -p home work
cp "$JOB"/*.c "$JOB"/*.h "$JOB"/Makefile work/
