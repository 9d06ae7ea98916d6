#![allow(unsafe_code, reason = "interface ioctls take a struct with a union")]
//! Brings the loopback interface of the current network namespace up (`netdevice(7)`). The kernel then gives it
//! 127.0.0.1/8 and ::1/128 by itself.

use rustix::ioctl::{Opcode, Setter, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// `SIOCSIFFLAGS` of `include/uapi/linux/sockios.h`.
const SET_FLAGS: Opcode = 0x8914;

/// Sets `IFF_UP` on `lo`, by system calls alone.
pub(crate) fn up() -> rustix::io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed();
    request.ifr_name[1] = b'o'.cast_signed();
    #[expect(clippy::cast_possible_truncation, reason = "the two flags fit 16 bits (linux/if.h)")]
    {
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    }
    // SAFETY: the request takes a pointer to an ifreq, which is what it gets, and writes nothing.
    unsafe { ioctl(socket, Setter::<SET_FLAGS, _>::new(request)) }
}
