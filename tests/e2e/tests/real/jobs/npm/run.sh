# Installs from npm's cache without a network, and runs qs's own tests.
set -eu
status=0
npm ci --offline --no-audit --no-fund >log 2>&1 || status=$?
echo "install: $status"
[ ! -d node_modules ] || ls node_modules | wc -l
npm test >>log 2>&1 || status=$?
echo "test: $status"
cat log >&2
grep -E '^# (tests|pass|fail) ' log
