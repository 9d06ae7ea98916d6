//! Pieces of a BPF program that always end in a verdict, and how they are put together.
//!
//! A block is entered at its first instruction and never left but by `ret`. Blocks are therefore nested without labels:
//! a branch is a test, then the block for "no", then the block for "yes". The accumulator holds whatever was loaded last,
//! so a block that tests loads its own operand first.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W,
    sock_filter,
};

/// A piece of a program that ends in a verdict on every path.
pub(super) type Block = Vec<sock_filter>;

/// Offset of the number in `struct seccomp_data` (`include/uapi/linux/seccomp.h`).
pub(super) const NUMBER: u32 = 0;
/// Offset of the architecture.
pub(super) const ARCHITECTURE: u32 = 4;
/// Offset of the first argument; each has 8 bytes.
const ARGUMENTS: u32 = 16;

/// A test of the accumulator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Test {
    /// It equals the value.
    Equal(u32),
    /// It is at least the value, unsigned.
    AtLeast(u32),
    /// It is more than the value, unsigned.
    Above(u32),
    /// It has any of the bits.
    AnyOf(u32),
}

/// Ends with a verdict: one of the `SECCOMP_RET_*` values with its data.
pub(super) fn verdict(action: u32) -> Block {
    vec![instruction(BPF_RET | BPF_K, 0, 0, action)]
}

/// Loads 32 bits of `struct seccomp_data`, then goes on.
pub(super) fn load(offset: u32, rest: Block) -> Block {
    prepend(instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset), rest)
}

/// Loads the low half of an argument (little-endian machines), then goes on.
pub(super) fn load_low(argument: u32, rest: Block) -> Block {
    load(ARGUMENTS + 8 * argument, rest)
}

/// Loads the high half of an argument (little-endian machines), then goes on.
pub(super) fn load_high(argument: u32, rest: Block) -> Block {
    load(ARGUMENTS + 8 * argument + 4, rest)
}

/// Keeps only some bits of the accumulator, then goes on.
pub(super) fn keep(bits: u32, rest: Block) -> Block {
    prepend(instruction(BPF_ALU | BPF_AND | BPF_K, 0, 0, bits), rest)
}

/// Goes on with one of two blocks.
pub(super) fn branch(test: Test, yes: Block, no: Block) -> Block {
    let (code, value) = match test {
        Test::Equal(value) => (BPF_JEQ, value),
        Test::AtLeast(value) => (BPF_JGE, value),
        Test::Above(value) => (BPF_JGT, value),
        Test::AnyOf(value) => (BPF_JSET, value),
    };
    let code = BPF_JMP | code | BPF_K;
    let mut block = Block::with_capacity(no.len() + yes.len() + 2);
    if let Ok(distance) = u8::try_from(no.len()) {
        block.push(instruction(code, distance, 0, value));
    } else {
        // A conditional jump reaches 255 instructions; an unconditional one reaches all of them.
        let distance = u32::try_from(no.len()).unwrap_or(u32::MAX);
        block.push(instruction(code, 0, 1, value));
        block.push(instruction(BPF_JMP | BPF_JA, 0, 0, distance));
    }
    block.extend(no);
    block.extend(yes);
    block
}

/// Goes on with `yes` if the accumulator is one of the values, else with `no`.
pub(super) fn branch_any(values: &[u32], yes: &Block, no: Block) -> Block {
    values.iter().rev().fold(no, |rest, value| branch(Test::Equal(*value), yes.clone(), rest))
}

fn prepend(first: sock_filter, rest: Block) -> Block {
    let mut block = Block::with_capacity(rest.len() + 1);
    block.push(first);
    block.extend(rest);
    block
}

/// One instruction. The class, size and mode constants of libc are wider than the 16 bits of the field, but none is.
fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}
