//! The root file system that all machines share. Each boots with a snapshot, so none sees what another wrote.

use std::fs;
use std::path::{Path, PathBuf};

use super::Failure;
use super::programs::{Tree, make_file_system};
use super::suite::Suite;

/// Size of the file system in MiB: room for the programs and for what suites write. The file is sparse.
const SIZE: u64 = 1024;

/// Where the program to test lies in a machine.
const STOCKADE: &str = "/usr/bin/stockade";

/// Makes the file system below `directory` and returns its file.
pub(super) fn make(directory: &Path, guest: &Path, stockade: &Path, suites: &[Suite]) -> Result<PathBuf, Failure> {
    fs::create_dir_all(directory)?;
    let scratch = tempfile::tempdir_in(directory)?;
    let root = scratch.path().join("root");
    let tree = Tree::new(&root)?;
    tree.add_listed(&fs::read_to_string(guest.join("programs.txt"))?)?;
    for name in ["passwd", "group"] {
        tree.write(Path::new("/etc").join(name).as_path(), &fs::read(guest.join(name))?, 0o644)?;
    }
    tree.write(Path::new("/etc/shadow"), b"root:*:19000:0:99999:7:::\n", 0o600)?;
    tree.write(Path::new("/etc/hosts"), b"127.0.0.1 localhost\n", 0o644)?;
    tree.write(Path::new("/sbin/machine"), &fs::read(guest.join("machine.sh"))?, 0o755)?;
    tree.write(Path::new("/sbin/step"), &fs::read(guest.join("step.sh"))?, 0o755)?;
    tree.add_program(stockade, Path::new(STOCKADE))?;
    for suite in suites {
        tree.add_program(&suite.program, Path::new(&format!("/usr/lib/suites/{}", suite.name)))?;
        if let Some(companion) = &suite.companion {
            tree.add_program(companion, companion)?;
        }
    }
    let image = directory.join("root.ext4");
    if image.exists() {
        fs::remove_file(&image)?;
    }
    make_file_system(&root, &image, SIZE)?;
    Ok(image)
}
