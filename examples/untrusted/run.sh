#!/bin/sh
# Runs build.sh, which steals and breaks what it can, in Stockade, and prints what was kept out. Exit status 0 when
# everything was.
#
# Usage: run.sh [--native]
#
# Everything happens in a throw-away home with made-up secrets. With --native there is no sandbox: then every attempt that an
# ordinary user's permissions allow has to succeed, which shows that the attempts are real. Natively nothing but loopback is
# reached, nothing is asked of the kernel, and no file outside the throw-away home is touched but one in /tmp.
#
# STOCKADE_BIN names the stockade to use; without it, the one on PATH, or else one that is built now.

set -u
native="${1:-}"
case "$native" in '' | --native) ;; *) echo "usage: run.sh [--native]" >&2 && exit 2 ;; esac
here="$(cd "$(dirname "$0")" && pwd)"
for tool in perl git setsid; do
    command -v "$tool" >/dev/null || { echo "run.sh: needs $tool; apt-get install perl git util-linux" >&2 && exit 2; }
done

find_stockade() {
    [ -z "${STOCKADE_BIN:-}" ] || { echo "$STOCKADE_BIN" && return; }
    command -v stockade && return
    root="$(cd "$here/../.." && pwd)"
    (cd "$root" && cargo build --quiet --release --package stockade-cli >&2) || return
    echo "${CARGO_TARGET_DIR:-$root/target}/release/stockade"
}
[ -n "$native" ] || stockade="$(find_stockade)" || { echo "run.sh: found no stockade and could not build one" >&2 && exit 2; }

place="$(mktemp -d "${TMPDIR:-/tmp}/stockade-example.XXXXXX")"
home="$place/home" workspace="$place/home/project"
pids=''
clean_up() {
    # The daemon that a native run leaves ends with the directory that it writes to.
    for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
    [ -z "${victim:-}" ] || rm -f "/tmp/filled-by-$victim"
    rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# --- A home with secrets, and what else a person has.
secret="secret-$(cat /proc/sys/kernel/random/uuid)"
mkdir -p "$home/.ssh" "$home/.aws" "$home/Documents" "$home/.cargo/bin" "$home/.local/bin" "$home/other-project" "$workspace"
for file in .ssh/id_ed25519 .aws/credentials Documents/taxes.txt; do echo "$secret" >"$home/$file"; done
for file in .bashrc .cargo/bin/cargo other-project/Makefile; do echo '# the real one' >"$home/$file"; done
cp "$here/build.sh" "$workspace/"
HOME="$home" git -C "$workspace" init -q
perl "$here/host.pl" "$place" >/dev/null 2>&1 &
pids="$!"
env API_TOKEN="$secret" sleep 120 >/dev/null 2>&1 &
victim="$!"
pids="$pids $victim"
waited=0
while [ ! -s "$place/port" ]; do
    [ "$waited" -lt 100 ] || { echo "run.sh: the service did not start" >&2 && exit 2; }
    sleep 0.05
    waited=$((waited + 1))
done

# --- The run.
cd "$workspace" || exit 2
set -- sh build.sh "$(cat "$place/port")" "$victim" "$place/agent.sock"
if [ -n "$native" ]; then
    env HOME="$home" API_TOKEN="$secret" "$@" local
else
    env HOME="$home" API_TOKEN="$secret" "$stockade" run --quiet --trace=all --processes 64 --disk 32MiB --time 60s \
        --events "$place/events" --report "$place/report" -- "$@"
fi
status=$?
[ "$status" = 0 ] || echo "run.sh: the build script ended with status $status"
sleep 0.5
before="$(cat loot/daemon 2>/dev/null | wc -c)"
sleep 0.7
after="$(cat loot/daemon 2>/dev/null | wc -c)"

# --- What came of it, seen from outside. Succeeds when the attempt did.
breached() {
    case "$1" in
    ssh-key | cloud-key | documents | environment | process-environment) grep -q "$secret" "loot/$1" 2>/dev/null ;;
    shadow) grep -q '^root:' loot/shadow 2>/dev/null ;;
    agent | loopback) grep -q "^$1$" "$place/visits" 2>/dev/null ;;
    kill) ! kill -0 "$victim" 2>/dev/null || grep -q '^State:.Z' "/proc/$victim/status" ;;
    metadata | lan | module | mount | namespaces) grep -q "^$1|seemed to work" loot/attempts ;;
    git-hook) [ -e .git/hooks/post-commit ] ;;
    git-config) grep -q planted .git/config ;;
    envrc) [ -e .envrc ] ;;
    editor-tasks) [ -e .vscode/tasks.json ] ;;
    bashrc) grep -q planted "$home/.bashrc" ;;
    false-git) [ -e "$home/.local/bin/git" ] ;;
    toolchain) grep -q planted "$home/.cargo/bin/cargo" ;;
    other-project) grep -q planted "$home/other-project/Makefile" ;;
    set-id) [ -u helper ] ;;
    fill-tmp) [ -e "/tmp/filled-by-$victim" ] ;;
    fork-many) [ "$(tail -n 1 loot/fork-many)" = 100 ] ;;
    daemon) [ "$before" != "$after" ] ;;
    *) echo "run.sh: no proof for $1" >&2 ;;
    esac
}

# The first event that names an attempt, in words; or that the report has it among the files of private directories.
reported() {
    [ -n "$1" ] || return
    line="$(grep '"event":"denial"' "$place/events" | grep -m 1 -e "$1")"
    if [ -n "$line" ]; then
        echo "$line" | sed 's/.*"operation":"\([^"]*\)".*"target":"\([^"]*\)".*/\1 \2/; s|'"$home"'|~|; s|'"$place"'|...|' | cut -c 1-44
    elif tr '\n' ' ' <"$place/report" | sed 's/.*"discarded"//; s/"quarantined".*//' | grep -q -e "$1"; then
        echo 'written to a private copy, discarded'
    fi
}

printf '\n%-38s %-11s %-28s %s\n' ATTEMPT RESULT 'SEEN FROM INSIDE' "${native:+NOTE}${native:-REPORTED BY STOCKADE}" |
    sed 's/NOTE--native/NOTE/'
wrong=0 tried=0
while IFS='|' read -r name works title pattern; do
    case "$name" in '' | '#'*) continue ;; esac
    inside="$(sed -n "s/^$name|//p" loot/attempts | tail -n 1)"
    note=''
    if [ -n "$native" ] && [ "$works" = never ]; then
        result='not tried' note='would leave this machine or change its kernel'
    elif [ -z "$inside" ]; then
        result='NOT TRIED' wrong=$((wrong + 1))
    elif breached "$name"; then
        result='SUCCEEDED' tried=$((tried + 1))
        [ -n "$native" ] || wrong=$((wrong + 1))
    else
        result='kept out' tried=$((tried + 1))
        if [ -n "$native" ] && [ "$works" = root ] && [ "$(id -u)" != 0 ]; then
            note='needs root'
        elif [ -n "$native" ]; then
            wrong=$((wrong + 1)) note='should have succeeded natively'
        fi
    fi
    [ -n "$native" ] || note="$(reported "$pattern")"
    printf '%-38s %-11s %-28s %s\n' "$title" "$result" "$(printf %s "$inside" | cut -c 1-28)" "${note:--}"
done <"$here/attempts.txt"

if [ -n "$native" ]; then
    printf '\n%s attempts without a sandbox; %s came out otherwise than expected.\n' "$tried" "$wrong"
else
    printf '\n%s attempts; %s were not kept out. %s events.\n' "$tried" "$wrong" "$(grep -c '"event":"denial"' "$place/events")"
fi
[ "$wrong" = 0 ] && [ "$status" = 0 ]
