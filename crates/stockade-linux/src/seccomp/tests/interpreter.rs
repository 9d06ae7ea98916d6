//! Runs filter programs on made-up system calls, as the kernel does, and prints them.

use libc::sock_filter;

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Data {
    pub(super) number: u32,
    pub(super) arch: u32,
    pub(super) arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            // The instruction pointer is at 8; no program has a reason to look at it.
            16..64 if offset.is_multiple_of(4) => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                u32::try_from(argument >> (offset % 8 * 8) & 0xffff_ffff).unwrap()
            }
            _ => panic!("load from {offset}"),
        }
    }
}

/// The verdict of a program. Panics on what the kernel's checker would refuse.
pub(super) fn run(program: &[sock_filter], data: &Data) -> u32 {
    let mut accumulator = 0;
    let mut position = 0;
    loop {
        let sock_filter { code, jt, jf, k } = program[position];
        position += 1;
        let jump = |condition: bool| usize::from(if condition { jt } else { jf });
        match code {
            0x20 => accumulator = data.word(k),
            0x54 => accumulator &= k,
            0x05 => position += k as usize,
            0x15 => position += jump(accumulator == k),
            0x25 => position += jump(accumulator > k),
            0x35 => position += jump(accumulator >= k),
            0x45 => position += jump(accumulator & k != 0),
            0x06 => return k,
            _ => panic!("unknown instruction {code:#x}"),
        }
    }
}

/// Every jump lands inside, every way ends in a verdict, and the kernel's bound of 4096 holds.
pub(super) fn assert_valid(program: &[sock_filter]) {
    assert!(program.len() < 4096, "{} instructions", program.len());
    assert_eq!(program.last().unwrap().code, 0x06);
    for (position, instruction) in program.iter().enumerate() {
        let farthest = match instruction.code {
            0x05 => instruction.k as usize,
            _ => usize::from(instruction.jt.max(instruction.jf)),
        };
        assert!(position + 1 + farthest < program.len() + usize::from(instruction.code == 0x06));
    }
}

/// One instruction per line.
pub(super) fn disassemble(program: &[sock_filter]) -> String {
    let mut lines = String::new();
    for (position, i) in program.iter().enumerate() {
        let (yes, no) = (position + 1 + usize::from(i.jt), position + 1 + usize::from(i.jf));
        let text = match i.code {
            0x20 => format!("load {}", i.k),
            0x54 => format!("keep {:#x}", i.k),
            0x05 => format!("goto {}", position + 1 + i.k as usize),
            0x15 => format!("if = {:#x} goto {yes} else {no}", i.k),
            0x25 => format!("if > {:#x} goto {yes} else {no}", i.k),
            0x35 => format!("if >= {:#x} goto {yes} else {no}", i.k),
            0x45 => format!("if & {:#x} goto {yes} else {no}", i.k),
            0x06 => format!("return {:#010x}", i.k),
            code => panic!("unknown instruction {code:#x}"),
        };
        lines.push_str(&position.to_string());
        lines.push_str(": ");
        lines.push_str(&text);
        lines.push('\n');
    }
    lines
}
