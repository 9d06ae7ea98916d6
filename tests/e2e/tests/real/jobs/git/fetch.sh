# Makes a repository with some history, and a user who has a name.
set -eu
mkdir -p home work
printf '[user]\n\tname = Ann\n\temail = ann@example.org\n[core]\n\tpager = cat\n' >home/.gitconfig
cd work
export HOME="$PWD/../home" GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
git init -q -b main
echo one >a
mkdir dir
echo two >dir/b
git add .
git commit -q -m start
