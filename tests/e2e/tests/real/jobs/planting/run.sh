# Tries to leave something that git, a shell or an editor of the host would run later. Prints what worked.
try() {
    name="$1"
    shift
    if "$@" >/dev/null 2>&1; then echo "$name: planted"; else echo "$name: refused"; fi
}
put() { mkdir -p "$(dirname "$1")" && echo 'touch /tmp/fired' >"$1"; }

try 'change the configuration' git config core.fsmonitor 'touch /tmp/fired'
try 'replace the configuration' cp a .git/config
try 'add a remote' git remote add evil 'ext::sh -c true'
try 'move .git away' mv .git .git-moved
[ -d .git ] || mv .git-moved .git
try 'remove the hooks' rm -r .git/hooks
