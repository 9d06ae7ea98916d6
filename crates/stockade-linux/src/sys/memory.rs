#![allow(unsafe_code, reason = "process_vm_readv(2) takes raw addresses")]
//! Reading the memory of another process.

use std::io;

/// Size of the unit in which memory is mapped: the smallest that any supported architecture uses.
const PAGE: u64 = 4096;

/// Copies memory of the thread `pid` that starts at `address` into `buffer`; gives how many bytes were mapped there.
///
/// # Errors
/// When the process is gone, may not be read (`ptrace(2)`, access mode), or maps nothing at `address`.
pub(crate) fn read(pid: u32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    let address = usize::try_from(address).map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))?;
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: buffer.len() };
    // SAFETY: `local` describes the whole of `buffer`, which is borrowed mutably for the call, and the kernel writes
    // nowhere else. `remote` is only an address in the other process, which the kernel checks.
    let count = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Copies the NUL-terminated text at `address`, without its NUL.
///
/// Memory is read page by page, so that text at the end of a mapping is found.
///
/// # Errors
/// As [`read`]; `ENAMETOOLONG` when there is no NUL within `limit` bytes.
pub(crate) fn read_text(pid: u32, address: u64, limit: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut at = address;
    while text.len() < limit {
        let to_page_end = usize::try_from(PAGE - at % PAGE).unwrap_or(usize::MAX);
        let start = text.len();
        text.resize(start + to_page_end.min(limit - start), 0);
        let count = read(pid, at, &mut text[start..])?;
        text.truncate(start + count);
        if let Some(end) = text[start..].iter().position(|&byte| byte == 0) {
            text.truncate(start + end);
            return Ok(text);
        }
        let next = u64::try_from(count).ok().filter(|&count| count > 0).and_then(|count| at.checked_add(count));
        at = next.ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
    }
    Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        read_text(std::process::id(), text.as_ptr() as u64, limit)
    }

    #[test]
    fn reads_text_over_several_pages() {
        let mut text = vec![b'x'; 3 * 4096];
        text.push(0);
        assert_eq!(own(&text, 5 * 4096).unwrap(), text[..3 * 4096]);
        assert_eq!(own(b"short\0", 4096).unwrap(), b"short");
        assert_eq!(own(b"\0", 1).unwrap(), b"");
    }

    #[test]
    fn text_without_end_is_refused() {
        let text = vec![b'x'; 2 * 4096];
        assert_eq!(own(&text, 4096).unwrap_err().raw_os_error(), Some(libc::ENAMETOOLONG));
    }

    #[test]
    fn bad_addresses_and_processes_are_errors() {
        assert_eq!(read_text(std::process::id(), 0, 4096).unwrap_err().raw_os_error(), Some(libc::EFAULT));
        assert_eq!(read_text(std::process::id(), u64::MAX, 4096).unwrap_err().raw_os_error(), Some(libc::EFAULT));
        assert_eq!(read(u32::MAX, 4096, &mut [0]).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
