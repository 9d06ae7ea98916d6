//! A large workspace.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::bench::Failure;

/// Directories, and files in each.
const DIRECTORIES: usize = 1_000;
const FILES: usize = 100;
/// Bytes of each file.
const SIZE: usize = 4 << 10;
/// Bytes of the one sparse file.
const SPARSE: u64 = 4_600 << 20;

/// Makes 100,000 files of 4 KiB and a sparse one: 5 GB.
pub(super) fn make(root: &Path) -> Result<(), Failure> {
    let content = vec![b'x'; SIZE];
    for directory in 0..DIRECTORIES {
        let directory = root.join(format!("d{directory}"));
        fs::create_dir_all(&directory)?;
        for file in 0..FILES {
            fs::write(directory.join(format!("f{file}")), &content)?;
        }
    }
    let sparse = File::create(root.join("sparse"))?;
    sparse.set_len(SPARSE)?;
    sparse.write_all_at(b"end", SPARSE - 3)?;
    Ok(())
}

/// One of its files.
pub(super) fn file(root: &Path, number: usize) -> PathBuf {
    root.join(format!("d{}/f{}", number % DIRECTORIES, number / DIRECTORIES % FILES))
}
