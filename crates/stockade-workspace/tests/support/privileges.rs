//! Tests that need to be run without privileges.

use std::process::Command;

/// For root, who may do anything: runs one test of this program again, without capabilities.
pub(crate) fn ran_without_privileges(test: &str) -> bool {
    if !rustix::process::geteuid().is_root() || std::env::var_os("WITHOUT_PRIVILEGES").is_some() {
        return false;
    }
    let own = std::env::current_exe().expect("this program");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--"]).arg(own).args(["--exact", test, "--nocapture"]);
    let output = command.env("WITHOUT_PRIVILEGES", "1").output().expect("setpriv(1)");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    true
}
