//! Kernels from Debian's packages, unpacked below `target/machines/kernels`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::Suite;
use super::description::KernelSource;
use super::{Failure, output_of};

/// A kernel and its modules.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Its release, as `uname -r` prints it.
    pub(super) release: String,
    root: PathBuf,
}

impl Kernel {
    /// Downloads and unpacks a kernel, unless that was done before. Remove the directory to get a newer one.
    pub(super) fn fetch(directory: &Path, source: &KernelSource) -> Result<Self, Failure> {
        let own = directory.join(format!("{}-{}", source.suite, source.package));
        let root = own.join("root");
        if !root.exists() {
            let suite = Suite::open(&own.join("apt"), &source.suite)?;
            let package = suite.newest(&source.package)?;
            let download = tempfile::tempdir_in(&own)?;
            let file = suite.download(&package, download.path())?;
            // Only a directory that is complete gets the name by which it is found.
            let unpacked = tempfile::tempdir_in(&own)?;
            output_of(Command::new("dpkg-deb").arg("--extract").arg(file).arg(unpacked.path()))?;
            fs::rename(unpacked.keep(), &root)?;
        }
        let release = only_entry(&modules_in(&root))?;
        let kernel = Self { release, root };
        if !kernel.modules().join("modules.dep").exists() {
            output_of(Command::new("depmod").arg("-b").arg(kernel.base()).arg(&kernel.release))?;
        }
        Ok(kernel)
    }

    /// The image to boot.
    pub(super) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// The content of some modules and of those they need, in the order in which they have to be loaded. What is built
    /// into the kernel is left out; what it does not have at all is an error.
    pub(super) fn modules_for(&self, names: &[&str]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let dependencies = fs::read_to_string(self.modules().join("modules.dep"))?;
        let builtin = fs::read_to_string(self.modules().join("modules.builtin"))?;
        let mut ordered: Vec<&str> = Vec::new();
        for &name in names {
            if builtin.lines().any(|path| stem(path) == name) {
                continue;
            }
            let line = dependencies.lines().find(|line| stem(line.split(':').next().unwrap_or_default()) == name);
            let line = line.ok_or_else(|| format!("kernel {} has no module {name}", self.release))?;
            // The line is `module: needs...`, and a module's needs are to be loaded from last to first.
            for path in line.split([':', ' ']).filter(|path| !path.is_empty()).rev() {
                if !ordered.contains(&path) {
                    ordered.push(path);
                }
            }
        }
        ordered.into_iter().map(|path| Ok((stem(path), content(&self.modules().join(path))?))).collect()
    }

    fn modules(&self) -> PathBuf {
        modules_in(&self.root).join(&self.release)
    }

    /// What `depmod` takes for the root directory.
    fn base(&self) -> PathBuf {
        if self.root.join("lib").exists() { self.root.clone() } else { self.root.join("usr") }
    }
}

/// Where a package has its modules: newer ones follow the merged `/usr`.
fn modules_in(root: &Path) -> PathBuf {
    let old = root.join("lib/modules");
    if old.exists() { old } else { root.join("usr/lib/modules") }
}

/// A module's name: its path without directories and suffixes.
fn stem(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    // File names have hyphens where names may have underscores.
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

/// A module's content, unpacked.
fn content(path: &Path) -> Result<Vec<u8>, Failure> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => Ok(fs::read(path)?),
        Some("xz") => output_of(Command::new("xz").args(["--decompress", "--stdout"]).arg(path)),
        Some("zst") => output_of(Command::new("zstd").args(["--decompress", "--stdout", "--quiet"]).arg(path)),
        _ => Err(format!("{} is packed in an unknown way", path.display()).into()),
    }
}

fn only_entry(directory: &Path) -> Result<String, Failure> {
    let mut entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry?.file_name().to_string_lossy().into_owned()),
        _ => Err(format!("{} holds not just one kernel", directory.display()).into()),
    }
}
