# Looks, on the host and after the end, for what was planted.
look() {
    if [ -f "$1" ] && grep -q planted "$1"; then echo "$1: planted"; else echo "$1: kept out"; fi
}

for name in config hooks/post-commit hooks/pre-commit.sample hooks/post-rewrite info/attributes config.worktree \
    worktrees/beside/hooks/post-commit; do
    look ".git/$name"
done
for name in .envrc .vscode/tasks.json .husky/pre-commit .claude/settings.json .mcp.json .github/workflows/planted.yml \
    .bashrc nested/.git/hooks/post-commit nested/.git/config dir/.gitmodules made/.git/hooks/post-merge; do
    look "$name"
done
