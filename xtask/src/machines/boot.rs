//! Boots one machine and waits for its end.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Failure;
use super::cpio::Archive;
use super::description::Machine;
use super::kernel::Kernel;
use super::suite::Suite;
use super::transcript::Transcript;

/// Memory of a machine.
const MEMORY: &str = "1536M";

/// Drivers that the root file system and the sandboxes need, where they are not built in.
const MODULES: &[&str] = &["virtio_pci", "virtio_blk", "ext4", "overlay"];

/// The first program of a machine: an interpreter that needs no libraries, from the package `busybox-static`.
const BUSYBOX: &str = "/bin/busybox";

/// The script that it runs.
const INIT: &str = include_str!("../../../tests/machines/guest/init.sh");

/// How often it is looked whether a machine has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// A machine that is about to boot.
#[derive(Debug)]
pub(super) struct Guest<'a> {
    /// Its kernel.
    pub(super) kernel: Kernel,
    /// Its root file system, which is not changed.
    pub(super) disk: &'a Path,
    /// Its description.
    pub(super) machine: &'a Machine,
    /// The suites, of which its description names those that run.
    pub(super) suites: &'a [Suite],
    /// How long it may take.
    pub(super) time: Duration,
    /// Where its files are left.
    pub(super) directory: PathBuf,
}

impl Guest<'_> {
    /// Boots it, and reads what it reported.
    pub(super) fn run(&self) -> Result<Transcript, Failure> {
        let directory = &self.directory;
        fs::create_dir_all(directory)?;
        let initramfs = directory.join("initramfs");
        fs::write(&initramfs, self.initramfs()?)?;
        let (console, report) = (directory.join("console.txt"), directory.join("report.txt"));
        // A report of an earlier run must not be taken for one of this run.
        for file in [&console, &report] {
            fs::write(file, "")?;
        }
        let messages = directory.join("qemu.txt");
        self.wait(self.qemu(&initramfs, &console, &report).stderr(File::create(&messages)?), &messages)?;
        Transcript::parse(&String::from_utf8_lossy(&fs::read(&report)?))
            .map_err(|error| format!("{error}; the kernel's messages are in {}", console.display()).into())
    }

    fn qemu(&self, initramfs: &Path, console: &Path, report: &Path) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        command
            // Several machines run at once, and emulated processors that wait for each other take longer than one. Five
            // levels of page tables are of no use here and cost time in every emulated access. Emulated `cmpxchg16b`
            // leaves wrong flags behind in QEMU 7.2 and kernels crash; without it they take another way.
            .args(["-accel", "tcg", "-cpu", "max,la57=off,cx16=off", "-smp", "1", "-m", MEMORY])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(self.kernel.image())
            .arg("-initrd")
            .arg(initramfs)
            // Ends at once when the kernel panics, since a reboot is the end of the machine.
            .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off"])
            .arg("-drive")
            .arg(format!("file={},format=raw,if=virtio,snapshot=on,cache=unsafe", self.disk.display()))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-serial")
            .arg(format!("file:{}", report.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn wait(&self, command: &mut Command, messages: &Path) -> Result<(), Failure> {
        let start = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot run qemu-system-x86_64: {error} (package qemu-system-x86)"))?;
        loop {
            if let Some(status) = child.try_wait()? {
                let said = fs::read_to_string(messages)?;
                return if status.success() { Ok(()) } else { Err(format!("qemu ended with {status}: {said}").into()) };
            }
            if start.elapsed() > self.time {
                child.kill()?;
                child.wait()?;
                // What it reported so far is judged; the rest is missing, and that is a failure.
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn initramfs(&self) -> Result<Vec<u8>, Failure> {
        let mut archive = Archive::default();
        for directory in ["bin", "dev", "modules", "proc", "root", "sys"] {
            archive.directory(directory);
        }
        archive.device("dev/console", (5, 1));
        let busybox = fs::read(BUSYBOX).map_err(|error| format!("{BUSYBOX}: {error} (package busybox-static)"))?;
        archive.program("bin/busybox", &busybox);
        archive.program("init", INIT.as_bytes());
        let modules = self.kernel.modules_for(MODULES)?;
        let order: Vec<&str> = modules.iter().map(|(name, _)| name.as_str()).collect();
        archive.file("modules/order", (order.join("\n") + "\n").as_bytes());
        for (name, content) in &modules {
            archive.file(&format!("modules/{name}"), content);
        }
        archive.file("machine", self.settings()?.as_bytes());
        Ok(archive.finish())
    }

    /// What the machine's script reads: shell variables, and the function that runs the suites.
    fn settings(&self) -> Result<String, Failure> {
        let machine = self.machine;
        let settings: Vec<String> = machine.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let exceptions: Vec<&str> = machine.exceptions.keys().map(String::as_str).collect();
        let tier = machine.expected.tier.as_deref().unwrap_or("none");
        let delegate = if machine.delegate_cgroup { "yes" } else { "no" };
        let mut script = String::new();
        for (name, value) in [
            ("SETTINGS", settings.join(" ").as_str()),
            ("DELEGATE", delegate),
            ("TIER", tier),
            ("EXCEPTIONS", &exceptions.join("|")),
        ] {
            writeln!(script, "MACHINE_{name}={}", quoted(value)?)?;
        }
        script.push_str("suites() {\n");
        for suite in self.suites.iter().filter(|suite| machine.suites.iter().any(|name| name == suite.name)) {
            write!(script, "    step {} {} /usr/lib/suites/{}", suite.user, suite.name, suite.name)?;
            for argument in &suite.arguments {
                write!(script, " {}", quoted(argument)?)?;
            }
            script.push('\n');
        }
        script.push_str("}\n");
        Ok(script)
    }
}

/// A word of the shell.
fn quoted(word: &str) -> Result<String, Failure> {
    if word.contains('\'') { Err(format!("{word:?} holds a quote").into()) } else { Ok(format!("'{word}'")) }
}
