# A day's work with git, in the repository that is the workspace.
set -eu
# Fixed times, so that every commit has the same name in both runs.
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
{
    echo three >c
    git add c
    git commit -q -m 'add c'
    git branch topic
    git checkout -q topic
    echo more >>a
    git commit -q -am 'more in a'
    git checkout -q main
    echo else >>dir/b
    git commit -q -am 'else in b'
    git merge -q --no-edit topic

    echo unfinished >>a
    git stash push -q
    git stash list
    git stash pop -q
    git diff --stat
    git checkout -q -- a

    git worktree add -q -b beside beside
    echo beside >beside/d
    git -C beside add d
    git -C beside commit -q -m 'beside'
    git worktree list | wc -l

    git checkout -q -b moved main~1
    echo moved >e
    git add e
    git commit -q -m 'moved'
    git rebase -q main
    git checkout -q main
    git merge -q --ff-only moved
    git merge -q --no-edit beside
    git worktree remove beside

    git tag -a -m 'a release' v1
    git describe
    git cherry-pick --no-commit topic >/dev/null 2>&1 || git cherry-pick --abort 2>/dev/null || git reset -q --hard
    git mv c renamed
    git commit -q -m 'rename c'
    git rm -q e
    git commit -q -m 'remove e'
    git revert --no-edit HEAD >/dev/null
    git bisect start -q HEAD HEAD~3 >/dev/null
    git bisect reset -q >/dev/null 2>&1 || git bisect reset >/dev/null 2>&1
    git gc -q
    git fsck --strict --no-dangling
    git rev-parse HEAD

    git init -q nested
    git -C nested commit -q --allow-empty -m 'in a repository of its own'
    git -C nested log --format=%s
    git clone -q . copy 2>/dev/null
    git -C copy log --format=%s | wc -l
    rm -rf nested copy

    git log --graph --format='%s (%an <%ae>)'
    git status --short
    git branch --list
    git reflog | wc -l
} 2>&1
