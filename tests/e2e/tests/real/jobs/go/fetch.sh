# Copies a program with a test.
set -eu
mkdir -p home work
cp "$JOB/hello.go.txt" work/hello.go
cp "$JOB/hello_test.go.txt" work/hello_test.go
printf 'module hello\n\ngo 1.18\n' >work/go.mod
