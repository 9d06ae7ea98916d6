//! Sandboxes that last, from outside.

mod audit;
mod bad_input;
mod changes;
mod history;
mod hostile;
mod lives;
mod review;
mod terminal;
mod walk;

use std::path::PathBuf;

use serde_json::Value;

use crate::program::{User, outcome};

/// A user with a workspace of some files and a sandbox `box` on it. What runs in it is ended at the end.
struct Boxed {
    user: User,
}

impl Boxed {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With options for `create`.
    fn with(options: &[&str]) -> Self {
        Self::of(User::new(), options)
    }

    fn of(user: User, options: &[&str]) -> Self {
        for (name, text) in
            [("kept", "kept\n"), ("changed", "one\ntwo\n"), ("gone", "gone\n"), ("sub/moved", "moved\n")]
        {
            user.write(&format!("workspace/{name}"), text);
        }
        // What the workspace had in the moment in which the sandbox is made, it may have got afterwards.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let boxed = Self { user };
        boxed.good(&[&["create", "-n", "box"], options].concat());
        boxed
    }

    /// Exit status, standard output, standard error.
    fn stockade(&self, arguments: &[&str]) -> (i32, String, String) {
        outcome(&mut self.user.stockade(arguments))
    }

    /// Standard output of what succeeds in silence.
    fn good(&self, arguments: &[&str]) -> String {
        let (status, stdout, stderr) = self.stockade(arguments);
        assert_eq!((status, stderr.as_str()), (0, ""), "{arguments:?}: {stdout}");
        stdout
    }

    /// What a shell in the sandbox prints.
    fn sh(&self, script: &str) -> String {
        self.good(&["exec", "box", "--", "sh", "-c", script])
    }

    /// Standard error of what is refused with nothing done.
    fn refused(&self, arguments: &[&str]) -> String {
        let (status, stdout, stderr) = self.stockade(arguments);
        assert_eq!((status, stdout.as_str()), (125, ""), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("stockade: ") && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
        stderr
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.good(arguments);
        let value: Value = serde_json::from_str(&text).expect(&text);
        assert_eq!(value["version"], 1, "{text}");
        value
    }

    fn workspace(&self, name: &str) -> PathBuf {
        self.user.path("workspace").join(name)
    }

    /// A file of the workspace on the host.
    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.workspace(name)).ok()
    }

    /// Names of the sandboxes.
    fn names(&self) -> Vec<String> {
        let list = self.json(&["ls", "--json"]);
        list["sandboxes"]
            .as_array()
            .expect("list")
            .iter()
            .map(|row| row["name"].as_str().expect("name").to_owned())
            .collect()
    }

    /// What `ls` says of one.
    fn row(&self, name: &str) -> Value {
        let list = self.json(&["ls", "--json"]);
        let found = list["sandboxes"].as_array().expect("list").iter().find(|row| row["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("{name} in {list}"))
    }
}

impl Drop for Boxed {
    fn drop(&mut self) {
        let folder = self.user.path("");
        let output =
            |arguments: &[&str]| self.user.stockade_in(&folder, arguments).output().map(|output| output.stdout);
        let Ok(Ok(list)) = output(&["ls", "--json"]).map(|list| serde_json::from_slice::<Value>(&list)) else { return };
        for row in list["sandboxes"].as_array().into_iter().flatten() {
            if let Some(name) = row["name"].as_str() {
                drop(output(&["stop", name]));
            }
        }
    }
}
