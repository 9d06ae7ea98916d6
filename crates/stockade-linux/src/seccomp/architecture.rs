//! The architectures that filters are made for.

/// A machine whose system calls the table knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm, little-endian.
    Aarch64,
}

/// The bit that marks an x32 call in the number (`__X32_SYSCALL_BIT` of `arch/x86/include/uapi/asm/unistd.h`).
pub(super) const X32_BIT: u32 = 0x4000_0000;

// `include/uapi/linux/audit.h`: the ELF machine number, with the bits for 64-bit and little-endian.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;

impl Architecture {
    /// The architecture of this program, or none when the table does not know it.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            Some(Self::X86_64)
        } else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// The `arch` field of `struct seccomp_data` for calls that use the architecture's own entry.
    #[must_use]
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => AUDIT_ARCH_X86_64,
            Self::Aarch64 => AUDIT_ARCH_AARCH64,
        }
    }

    /// The architecture of an `arch` field, or none for every other entry (i386, 32-bit Arm).
    #[must_use]
    pub const fn from_audit(audit: u32) -> Option<Self> {
        match audit {
            AUDIT_ARCH_X86_64 => Some(Self::X86_64),
            AUDIT_ARCH_AARCH64 => Some(Self::Aarch64),
            _ => None,
        }
    }
}
