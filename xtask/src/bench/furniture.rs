//! A home as a developer has it: five toolchains and ten caches.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A program of each of five toolchains.
const TOOLCHAINS: [&str; 5] = [
    ".rustup/toolchains/stable/bin/rustc",
    ".cargo/bin/cargo",
    ".pyenv/versions/3.12.1/bin/python3",
    ".nvm/versions/node/v22.1.0/bin/node",
    ".sdkman/candidates/java/21/bin/java",
];

/// Ten caches.
const CACHES: [&str; 10] = [
    ".cache/pip",
    ".cache/uv",
    ".npm",
    ".cargo/registry",
    ".cargo/git",
    "go/pkg/mod",
    ".cache/go-build",
    ".gradle",
    ".m2/repository",
    ".cache/ccache",
];

/// Puts them into an empty home, with a few files each.
pub(super) fn furnish(home: &Path) -> io::Result<()> {
    for program in TOOLCHAINS {
        let path = home.join(program);
        fs::create_dir_all(path.parent().unwrap_or(home))?;
        fs::write(&path, "#!/bin/sh\nexit 0\n")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for cache in CACHES {
        let directory = home.join(cache).join("entries");
        fs::create_dir_all(&directory)?;
        for number in 0..20 {
            fs::write(directory.join(number.to_string()), vec![b'x'; 4096])?;
        }
    }
    fs::write(home.join(".gitconfig"), "[user]\n\tname = Somebody\n\temail = somebody@example.org\n")?;
    fs::create_dir(home.join(".ssh"))?;
    fs::write(home.join(".ssh/id_ed25519"), "not a key\n")
}
