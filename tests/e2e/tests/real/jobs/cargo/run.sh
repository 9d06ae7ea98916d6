# Builds a crate and runs its tests without a network.
set -eu
cd tempfile
status=0
cargo build --offline --locked >../log 2>&1 || status=$?
echo "build: $status"
cargo test --offline --locked >>../log 2>&1 || status=$?
echo "test: $status"
cat ../log >&2
sed -n 's/^\(test result: .*\); finished in .*/\1/p' ../log
# Both runs unpack the dependencies into the home of cargo; what the boxed one leaves there is compared elsewhere.
ls "$HOME/.cargo/registry/src" | wc -l
