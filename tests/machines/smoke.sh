#!/bin/sh
# What each machine must do with a sandbox, run by an ordinary user. MACHINE_TIER is the tier that a run
# must get, or `none`.
passed=0
failed=0
workspace=$HOME/project
mkdir -p "$workspace" && cd "$workspace" || exit 1

# What is known not to work on this machine has to fail, so that nobody keeps a wrong expectation.
# report NAME WHETHER OUTPUT
report() {
    case "|$MACHINE_EXCEPTIONS|" in
    *"|$1|"*) [ "$2" = yes ] && set -- "$1" no "it works, although it is listed as an exception" || set -- "$1" yes ;;
    esac
    if [ "$2" = yes ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $1: $3"
    fi
}

# ends NAME STATUS COMMAND...: the command ends with that status.
ends() {
    name=$1 wanted=$2
    shift 2
    output=$("$@" 2>&1)
    status=$?
    [ $status -eq "$wanted" ] && same=yes || same=no
    report "$name" $same "status $status instead of $wanted: $output"
}

# holds NAME FILE CONTENT: the file is as it should be.
holds() {
    content=$(cat "$2" 2>&1)
    [ "$content" = "$3" ] && same=yes || same=no
    report "$1" $same "$2 holds '$content' instead of '$3'"
}

# absent NAME PATH
absent() {
    [ -e "$2" ] && gone=no || gone=yes
    report "$1" $gone "$2 exists"
}

boxed() {
    stockade run --isolation "$MACHINE_TIER" $accept "$@"
}

case $MACHINE_TIER in
none)
    ends "a run is refused" 125 stockade run -- touch ran
    absent "nothing was run" ran
    stockade run -- true 2>&1 | grep -q Landlock && said=yes || said=no
    report "the reason is given" $said "no word of Landlock"
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
    exit
    ;;
landlock)
    weaker=file-visibility,caches,protected-files,process-visibility,lifetime,loopback,ipc
    ends "a weaker tier has to be accepted" 125 stockade run -- touch ran
    absent "nothing was run" ran
    accept="--accept-degraded $weaker"
    ;;
*)
    accept=
    ;;
esac

mkdir -p "$HOME/.ssh" "$HOME/outside" "$HOME/.cargo/registry/kept/deep"
echo secret > "$HOME/.ssh/id_ed25519"
echo mine > "$HOME/outside/file"
for name in changed removed moved; do
    echo old > "$HOME/.cargo/registry/kept/$name"
done
echo old > "$HOME/.cargo/registry/kept/deep/file"

ends "the status is the command's" 7 boxed -- sh -c 'exit 7'
ends "the workspace can be written" 0 boxed -- sh -c 'echo new > made && mkdir d && mv made d/moved && rm d/moved && rmdir d'
ends "system files cannot be written" 1 boxed -- touch /etc/made
ends "files outside cannot be written" 1 boxed -- cp /etc/passwd "$HOME/outside/file"
ends "files outside cannot be cut" 1 boxed -- truncate -s 0 "$HOME/outside/file"
ends "secrets cannot be read" 1 boxed -- cat "$HOME/.ssh/id_ed25519"
boxed -- sh -c 'echo x > ~/made' > /dev/null 2>&1
absent "home stays as it is" "$HOME/made"
holds "files outside stay as they are" "$HOME/outside/file" mine

sleep 60 &
ends "processes outside cannot be killed" 1 boxed -- sh -c "kill $!" sh
kill -0 $! 2> /dev/null && alive=yes || alive=no
report "processes outside live on" $alive "it is gone"
kill $!

git init -q . 2> /dev/null
ends "git commits" 0 boxed -e GIT_AUTHOR_NAME=a -e GIT_AUTHOR_EMAIL=a@example.org -e GIT_COMMITTER_NAME=a \
    -e GIT_COMMITTER_EMAIL=a@example.org -- git commit -q --allow-empty -m one
boxed -- sh -c 'echo x > .git/hooks/post-commit; chmod +x .git/hooks/post-commit' > /dev/null 2>&1
absent "no hook stays" .git/hooks/post-commit

if [ "$MACHINE_TIER" = namespaces ]; then
    kept='cd ~/.cargo/registry/kept'
    ends "a cached file is changed" 0 boxed -- sh -c "$kept && echo new > changed && grep -q new changed"
    ends "a cached file is removed and made again" 0 boxed -- sh -c "$kept && rm removed && echo new > removed"
    ends "a cached file is moved" 0 boxed -- sh -c "$kept && mv moved elsewhere && cat elsewhere"
    ends "a cached directory is removed and made again" 0 boxed -- sh -c "$kept && rm -r deep && mkdir deep && ! ls deep/file"
    ends "a cached directory is moved" 0 boxed -- sh -c "$kept && mv deep elsewhere && cat elsewhere/file"
    for name in changed removed moved deep/file; do
        holds "the cache stays as it is" "$HOME/.cargo/registry/kept/$name" old
    done
    ends "processes outside cannot be seen" 0 boxed -- sh -c '[ $(ls -d /proc/[0-9]* | wc -l) -lt 8 ]'
fi

ends "time is limited" 124 boxed --time 1s -- sleep 30
ends "memory is limited" 137 boxed --memory 64MiB -- dd if=/dev/zero of=/dev/null bs=200M count=20
ends "processes are limited" 2 boxed --processes 30 -- sh -c 'for i in $(seq 60); do sleep 9 & done'
ends "the size of files is limited" 137 boxed --disk 1MiB -- dd if=/dev/zero of=filled bs=1M count=4
rm -f filled
ends "output is limited" 137 boxed --output 1MiB -- dd if=/dev/zero bs=1M count=4 status=none
ends "a sandbox in a sandbox works" 0 boxed -- stockade run --accept-degraded \
    file-visibility,caches,protected-files,process-visibility,lifetime,loopback,ipc -- true

mounts=$(grep -c overlay /proc/mounts)
[ "$mounts" -eq 0 ] && none=yes || none=no
report "no mount stays" $none "$mounts overlays"
groups=$(find /sys/fs/cgroup -name '*stockade*' | wc -l)
[ "$groups" -eq 0 ] && none=yes || none=no
report "no group stays" $none "$(find /sys/fs/cgroup -name '*stockade*')"
left=$(ls -d /tmp/*stockade* /var/tmp/*stockade* /dev/shm/*stockade* 2> /dev/null)
[ -z "$left" ] && none=yes || none=no
report "no file stays" $none "$left"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
