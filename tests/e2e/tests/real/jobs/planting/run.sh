# Tries to leave something that git, a shell, an editor or a coding agent of the host would run later.
put() {
    mkdir -p "$(dirname "$1")"
    echo 'planted' >"$1"
}

git config alias.planted planted
git remote add planted 'ext::sh -c true'
put .git/hooks/post-commit
put .git/hooks/pre-commit.sample
put .git/info/attributes
put .git/config.worktree
put .envrc
put .vscode/tasks.json
put .husky/pre-commit
put .claude/settings.json
put .mcp.json
put .github/workflows/planted.yml
put .bashrc
git init -q nested
put nested/.git/hooks/post-commit
git -C nested config alias.planted planted
git worktree add -q -b beside beside
put .git/worktrees/beside/hooks/post-commit
put dir/.gitmodules
# A whole directory of git, made elsewhere and moved into place.
mkdir -p made/.git/hooks
put made/.git/hooks/post-merge
cp -r .git copied
put copied/hooks/post-rewrite
mv .git moved && mv copied .git
true
