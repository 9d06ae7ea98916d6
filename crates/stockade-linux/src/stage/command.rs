//! Executing the command, in the process that becomes it.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use stockade_spec::plan;

use super::streams::Streams;
use crate::sys::exec::{StringArray, execve};
use crate::sys::signals::Mask;

/// A command in the form that the system takes, made before it is needed.
#[derive(Debug)]
pub(crate) struct Command {
    /// Candidate paths of the program, in the order of `PATH`.
    paths: Vec<CString>,
    arguments: StringArray,
    environment: StringArray,
    directory: CString,
    /// The arguments as the shell gets them, should the program be a script without an interpreter line.
    script_arguments: Vec<CString>,
}

impl Command {
    /// Prepares the plan's command.
    ///
    /// # Errors
    /// `InvalidInput` when a string holds a NUL byte, or there is no program.
    pub(crate) fn prepare(command: &plan::Command) -> io::Result<Self> {
        let arguments = command.arguments.iter().map(|a| c_string(a)).collect::<io::Result<Vec<_>>>()?;
        let program = command.arguments.first().ok_or(io::ErrorKind::InvalidInput)?;
        let environment = command.environment.iter().map(|(name, value)| c_string(&joined(name, value)));
        Ok(Self {
            paths: candidates(program, search_path(command))?,
            script_arguments: arguments.iter().skip(1).cloned().collect(),
            arguments: StringArray::new(arguments),
            environment: StringArray::new(environment.collect::<io::Result<Vec<_>>>()?),
            directory: c_string(command.directory.as_os_str())?,
        })
    }

    /// Takes over the streams and becomes the program; returns only the reason why not.
    pub(crate) fn become_program(&self, streams: &Streams, mask: Mask) -> io::Error {
        match self.prepare_process(streams, mask) {
            Ok(()) => self.execute(),
            Err(error) => error,
        }
    }

    fn prepare_process(&self, streams: &Streams, mask: Mask) -> io::Result<()> {
        // No controlling terminal is shared with the caller.
        streams.take_foreground()?;
        streams.place()?;
        rustix::process::chdir(self.directory.as_c_str())?;
        crate::sys::signals::reset_dispositions();
        mask.install()?;
        Ok(())
    }

    fn execute(&self) -> io::Error {
        let mut worst = io::Error::from_raw_os_error(libc::ENOENT);
        for path in &self.paths {
            let error = execve(path, &self.arguments, &self.environment);
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                // As execvp(3): remember it, but a later directory may hold one that can be executed.
                Some(libc::EACCES) => worst = error,
                Some(libc::ENOEXEC) => return self.execute_script(path),
                _ => return error,
            }
        }
        worst
    }

    /// A file without an interpreter line is given to the shell, as execvp(3) does.
    fn execute_script(&self, path: &CString) -> io::Error {
        let mut arguments = vec![c"sh".to_owned(), path.clone()];
        arguments.extend(self.script_arguments.iter().cloned());
        execve(c"/bin/sh", &StringArray::new(arguments), &self.environment)
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn joined(name: &OsStr, value: &OsStr) -> OsString {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(b'=');
    bytes.extend_from_slice(value.as_bytes());
    OsString::from_vec(bytes)
}

fn search_path(command: &plan::Command) -> &OsStr {
    let found = command.environment.iter().find(|(name, _)| name == "PATH");
    found.map_or_else(|| OsStr::new("/usr/local/bin:/usr/bin:/bin"), |(_, value)| value)
}

/// Where the program may be: itself when its name holds a slash, else below each directory of the search path.
fn candidates(program: &OsStr, search_path: &OsStr) -> io::Result<Vec<CString>> {
    if program.is_empty() {
        return Ok(Vec::new());
    }
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![c_string(program)?]);
    }
    let directories = search_path.as_bytes().split(|&byte| byte == b':');
    directories
        .map(|directory| {
            let mut path = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
            path.push(b'/');
            path.extend_from_slice(program.as_bytes());
            c_string(OsStr::from_bytes(&path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up_as_execvp_does() {
        let found = |program: &str, path: &str| candidates(OsStr::new(program), OsStr::new(path)).expect("no NUL");
        assert_eq!(found("a", "/x:/y"), [c"/x/a".to_owned(), c"/y/a".to_owned()]);
        assert_eq!(found("./a", "/x"), [c"./a".to_owned()]);
        assert_eq!(found("a", ":/x"), [c"./a".to_owned(), c"/x/a".to_owned()]);
        assert!(found("", "/x").is_empty());
        assert!(candidates(OsStr::new("a\0b"), OsStr::new("/x")).is_err());
    }
}
