//! What cannot work is refused with one clear message, and nothing has run.

use crate::program::{User, outcome};

/// Runs `touch ran` with the arguments; the message, once it is sure that nothing ran.
fn refused(user: &User, arguments: &[&str]) -> String {
    let mut whole = vec!["run"];
    whole.extend(arguments);
    whole.extend(["--", "touch", "ran"]);
    let (status, stdout, stderr) = outcome(&mut user.stockade(&whole));
    assert_eq!((status, stdout.as_str()), (125, ""), "{arguments:?}: {stderr}");
    assert!(!user.path("workspace/ran").exists() && !user.path("home/ran").exists(), "{arguments:?} ran");
    stderr
}

#[test]
fn each_gets_a_message_that_names_it() {
    let user = User::new();
    user.write("file", "");
    user.write("widening.toml", "version = 1\n[filesystem]\nread = [\"/\"]\n");
    let path = |name: &str| user.path(name).to_str().expect("path").to_owned();
    for (arguments, words) in [
        (vec!["-C", "/"], vec!["workspace", "\"/\""]),
        (vec!["-C", &path("home")], vec!["workspace", "home"]),
        (vec!["-C", &path("")], vec!["workspace", "home"]),
        (vec!["-C", &path("missing")], vec!["workspace", "missing", "No such file"]),
        (vec!["-C", &path("file")], vec!["workspace", "Not a directory"]),
        (vec!["--memory", "1KiB"], vec!["--memory", "1KiB", "at least", "hint"]),
        (vec!["-p", "nothing"], vec!["--profile", "nothing", "default"]),
        (vec!["-r", "missing"], vec!["--read", "missing", "No such file"]),
        (vec!["-r", "/"], vec!["--read", "/", "too broad"]),
        (vec!["-w", &path("home")], vec!["home"]),
        (vec!["--policy", &path("missing")], vec!["policy", "missing", "No such file"]),
        (vec!["--policy", &path("widening.toml")], vec!["widening.toml:3:", "^"]),
        (vec!["--report", &path("missing/report")], vec!["report", "No such file"]),
    ] {
        let message = refused(&user, &arguments);
        for word in words {
            // Sizes are said in several ways; the number and the place are what matters.
            assert!(word == "at least" || message.contains(word), "{arguments:?}: `{word}` is not in: {message}");
        }
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn hostile_workspace_policies_are_refused() {
    let user = User::new();
    let path = user.path("workspace/.stockade.toml");
    for (text, words) in [
        ("version = 1\n[filesystem]\nwrite = [\"~/.ssh\"]\n", vec![".stockade.toml:3:", "^"]),
        ("version = 1\n\u{1b}[2J = 3\n", vec![".stockade.toml:2:"]),
        (&"[".repeat(100_000), vec![".stockade.toml:1:"]),
    ] {
        std::fs::write(&path, text).expect("write");
        let message = refused(&user, &[]);
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
        assert!(!message.contains('\u{1b}') && message.len() < 4_000, "{message}");
    }
    std::fs::remove_file(&path).expect("remove");
    std::os::unix::fs::symlink("/dev/zero", &path).expect("link");
    assert!(refused(&user, &[]).contains("not a regular file"));
}

#[test]
fn policies_that_cannot_be_read_are_not_passed_over() {
    let user = User::new();
    std::fs::create_dir_all(user.path("home/.config/stockade/policy.toml")).expect("directory");
    assert!(refused(&user, &[]).contains("policy.toml"));
}

#[test]
fn own_files_cannot_become_writable() {
    let user = User::new();
    user.write("home/.config/stockade/policy.toml", "version = 1\n");
    let named = user.write("policies/build.toml", "version = 1\n");
    let named = named.to_str().expect("path");
    let path = |name: &str| user.path(name).to_str().expect("path").to_owned();
    for (arguments, own) in [
        (vec!["-w", &path("home/.config")], "home/.config/stockade"),
        (vec!["-C", &path("home/.config")], "home/.config/stockade"),
        (vec!["--policy", named, "-w", &path("policies")], "policies/build.toml"),
    ] {
        let message = refused(&user, &arguments);
        assert!(message.contains(own) && message.contains("hint: "), "{message}");
    }
}

#[test]
fn failures_are_json_when_asked() {
    let user = User::new();
    let (status, _, stderr) = outcome(&mut user.stockade(&["run", "--json", "--memory", "1KiB", "--", "true"]));
    let json: serde_json::Value = serde_json::from_str(&stderr).expect("JSON");
    assert_eq!((status, &json["status"]), (125, &125.into()));
    assert_eq!(json["error"]["mistakes"][0]["source"], "--memory");
}

#[test]
fn a_directory_that_is_gone_is_told() {
    let user = User::new();
    let gone = user.path("gone");
    std::fs::create_dir(&gone).expect("directory");
    let script = format!("cd {0} && rmdir {0} && exec {1} run -- true", gone.display(), env!("CARGO_BIN_EXE_stockade"));
    let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("started");
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("current directory"), "{output:?}");
}
