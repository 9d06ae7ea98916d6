#![allow(unsafe_code, reason = "mappings have no safe wrapper")]
//! Stacks for processes that share the memory of this one.

use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};

/// The size of a stack.
const STACK: usize = 1 << 20;
/// Below the stack: whoever runs out of it must not write elsewhere.
const GUARD: usize = 64 << 10;

/// A stack, unmapped when dropped: whoever runs on it must have ended by then.
#[derive(Debug)]
pub(crate) struct Stack(NonNull<c_void>);

impl Stack {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, wherever there is room.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), GUARD + STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        let base = NonNull::new(base).filter(|_| base != libc::MAP_FAILED).ok_or_else(io::Error::last_os_error)?;
        let stack = Self(base);
        // SAFETY: the start of the mapping, which nobody uses yet.
        if unsafe { libc::mprotect(base.as_ptr(), GUARD, libc::PROT_NONE) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }

    /// Its end, from which it grows down; aligned to pages.
    pub(crate) const fn end(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.0.byte_add(GUARD + STACK).as_ptr() }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this size, and whoever used it has ended.
        unsafe { libc::munmap(self.0.as_ptr(), GUARD + STACK) };
    }
}
