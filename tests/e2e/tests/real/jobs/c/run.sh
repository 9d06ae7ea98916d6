# Compiles, links, runs, rebuilds what changed, debugs a little and cleans up.
set -eu
status=0
make -j2 check >log 2>&1 || status=$?
echo "make: $status"
./primes 10000
touch sieve.h
make 2>&1 | grep -c -- ' -c '
gcc -g -fsanitize=address,undefined -o checked main.c sieve.c worker.c -lm -pthread >>log 2>&1 || status=$?
./checked 1000 2>>log || status=$?
echo "sanitised: $status"
make clean >>log
cat log >&2
ls
