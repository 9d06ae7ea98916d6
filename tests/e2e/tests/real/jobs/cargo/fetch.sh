# Fetches a crate with its dependencies, and puts the toolchain where the user of the test finds it.
set -eu
mkdir -p home/.cargo work linked
settings="${CARGO_HOME:-$HOME/.cargo}/config.toml"
[ ! -e "$settings" ] || cp "$settings" home/.cargo/
real="${CARGO_HOME:-$HOME/.cargo}"
export CARGO_HOME="$PWD/home/.cargo"

mkdir -p finder/src
printf '[package]\nname = "finder"\nversion = "0.0.0"\n[dependencies]\ntempfile = "=3.27.0"\n[workspace]\n' >finder/Cargo.toml
: >finder/src/lib.rs
cargo fetch --quiet --manifest-path finder/Cargo.toml
cp -r home/.cargo/registry/src/*/tempfile-3.27.0 work/tempfile
cargo fetch --quiet --locked --manifest-path work/tempfile/Cargo.toml
# Packages are unpacked by the run itself: that writes to the home of cargo.
rm -r finder home/.cargo/registry/src

# A toolchain of rustup is linked, not copied: it takes hundreds of megabytes. One of the system is there already.
sysroot="$(rustc --print sysroot)"
case "$sysroot" in
*/toolchains/*)
    mkdir -p linked/.rustup/toolchains home/.cargo/bin
    cp -rlL "$sysroot" linked/.rustup/toolchains/test 2>/dev/null || cp -rL "$sysroot" linked/.rustup/toolchains/
    [ -d linked/.rustup/toolchains/test ] || mv linked/.rustup/toolchains/* linked/.rustup/toolchains/test
    printf 'version = "12"\nprofile = "minimal"\ndefault_toolchain = "test"\n[overrides]\n' >linked/.rustup/settings.toml
    cp "$real/bin/rustup" home/.cargo/bin/rustup
    for name in cargo rustc rustdoc; do ln -s rustup "home/.cargo/bin/$name"; done
    ;;
esac
