//! At a terminal, which `script(1)` makes.

use std::process::Command;

use super::Boxed;

/// What the program prints at a terminal.
fn at_terminal(boxed: &Boxed, command: &str, no_color: bool) -> String {
    let line = format!("{} {command}", env!("CARGO_BIN_EXE_stockade"));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(boxed.workspace("")).env_clear();
    script
        .env("HOME", boxed.user.path("home"))
        .env("PATH", "/usr/bin:/bin")
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm");
    if no_color {
        script.env("NO_COLOR", "1");
    }
    let output = script.stdin(std::process::Stdio::null()).output().expect("script(1)");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_command_gets_a_terminal_of_its_own() {
    let boxed = Boxed::new();
    let text = at_terminal(
        &boxed,
        "exec box -- sh -c 'test -t 0 && test -t 1 && test -t 2 && echo terminal $(stty size)'",
        false,
    );
    assert!(text.contains("terminal 24 80") || text.contains("terminal 0 0"), "{text}");
}

#[test]
fn diffs_are_coloured_and_safe() {
    let boxed = Boxed::new();
    boxed.sh("printf 'three\\033[2J\\n' >> changed");
    let text = at_terminal(&boxed, "diff box", false);
    assert!(text.contains("\u{1b}[32m+three\\u{1b}[2J\u{1b}[m"), "{text:?}");
    assert!(!text.contains("\u{1b}[2J"), "{text:?}");
    let plain = at_terminal(&boxed, "diff box", true);
    assert!(!plain.contains('\u{1b}') && plain.contains("+three\\u{1b}[2J"), "{plain:?}");
}
