//! Copies programs of this machine, with the libraries they need, into the root file system of a machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Failure, output_of};

/// Where Debian's packages have their programs. The caller's own search path may hold others.
const SEARCH_PATH: &[&str] = &["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// A root file system as a directory, with Debian's merged `/usr`.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Makes the directories and links that every Debian machine has, in an empty directory.
    pub(super) fn new(root: &Path) -> Result<Self, Failure> {
        for directory in ["bin", "sbin", "lib", "lib64"] {
            fs::create_dir_all(root.join("usr").join(directory))?;
            std::os::unix::fs::symlink(format!("usr/{directory}"), root.join(directory))?;
        }
        for directory in ["dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "var/tmp"] {
            fs::create_dir_all(root.join(directory))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Writes a file.
    pub(super) fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
        let target = self.place(path)?;
        fs::write(&target, content)?;
        Ok(fs::set_permissions(&target, fs::Permissions::from_mode(mode))?)
    }

    /// Copies what a list names, one entry a line: a program by its name, or a file or directory by its path.
    pub(super) fn add_listed(&self, list: &str) -> Result<(), Failure> {
        let mut programs = Vec::new();
        for entry in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if entry.starts_with('/') {
                self.copy(Path::new(entry), &mut programs)?;
            } else {
                let mut candidates = SEARCH_PATH.iter().map(|directory| Path::new(directory).join(entry));
                let program = candidates.find(|path| path.exists());
                let program = program.ok_or_else(|| format!("this machine has no program `{entry}`"))?;
                self.copy(&program, &mut programs)?;
            }
        }
        self.add_libraries(&programs)
    }

    /// Copies a program from anywhere to a path.
    pub(super) fn add_program(&self, program: &Path, path: &Path) -> Result<(), Failure> {
        let content = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
        self.write(path, &content, 0o755)?;
        self.add_libraries(&[program.to_owned()])
    }

    /// Copies a file, or a directory with all below it, to the same path. Executable files are noted in `programs`.
    fn copy(&self, path: &Path, programs: &mut Vec<PathBuf>) -> Result<(), Failure> {
        let failed = |error| format!("cannot copy {}: {error}", path.display());
        let kind = fs::symlink_metadata(path).map_err(failed)?;
        if kind.is_dir() {
            for entry in fs::read_dir(path).map_err(failed)? {
                self.copy(&entry?.path(), programs)?;
            }
            return Ok(());
        }
        // Names lead to other programs by links, such as those of Debian's alternatives; each becomes a copy.
        let target = self.place(path)?;
        fs::copy(path, &target).map_err(failed)?;
        if fs::metadata(&target)?.permissions().mode() & 0o111 != 0 {
            programs.push(path.to_owned());
        }
        Ok(())
    }

    /// Copies the libraries that `ldd(1)` names. What is no dynamic program needs none.
    fn add_libraries(&self, programs: &[PathBuf]) -> Result<(), Failure> {
        for program in programs.iter().filter(|program| is_elf(program)) {
            let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output()?;
            let listed = String::from_utf8_lossy(&output.stdout);
            if listed.contains("not found") {
                return Err(format!("{} needs libraries that are missing:\n{listed}", program.display()).into());
            }
            // Lines are `NAME => PATH (ADDRESS)`, and `PATH (ADDRESS)` for the loader.
            for path in listed.split_whitespace().filter(|word| word.starts_with('/')) {
                if !self.root.join(path.trim_start_matches('/')).exists() {
                    fs::copy(path, self.place(Path::new(path))?)?;
                }
            }
        }
        Ok(())
    }

    /// The file below the root for a path, with its parents made.
    fn place(&self, path: &Path) -> Result<PathBuf, Failure> {
        let target = self.root.join(path.strip_prefix("/").unwrap_or(path));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(target)
    }
}

/// Makes an ext4 file system of a tree.
pub(super) fn make_file_system(tree: &Path, image: &Path, mebibytes: u64) -> Result<(), Failure> {
    let size = format!("{mebibytes}M");
    output_of(Command::new("mke2fs").args(["-q", "-F", "-t", "ext4", "-d"]).arg(tree).arg(image).arg(size))?;
    Ok(())
}

fn is_elf(path: &Path) -> bool {
    let mut start = [0; 4];
    fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start)).is_ok()
        && start == *b"\x7fELF"
}
