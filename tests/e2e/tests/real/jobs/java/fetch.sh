# Copies a program of two classes.
set -eu
mkdir -p home work
cp "$JOB"/*.java work/
