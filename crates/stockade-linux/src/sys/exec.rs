#![allow(unsafe_code, reason = "execve(2) takes raw pointer arrays")]
//! Executing a program.

use std::ffi::{CStr, CString};
use std::io;

/// Arguments or environment in the form that `execve(2)` takes.
#[derive(Debug)]
pub(crate) struct StringArray {
    /// Owns what `pointers` point to.
    strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl StringArray {
    /// Collects strings; the array of pointers ends with a null pointer.
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self { strings, pointers }
    }

    /// Number of strings.
    pub(crate) const fn len(&self) -> usize {
        self.strings.len()
    }
}

/// Replaces the program; returns only the reason why it could not.
pub(crate) fn execve(path: &CStr, arguments: &StringArray, environment: &StringArray) -> io::Error {
    debug_assert!(arguments.len() > 0, "a command has a name");
    // SAFETY: `path` and every string are NUL-terminated and live; both arrays end with a null pointer.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    io::Error::last_os_error()
}
