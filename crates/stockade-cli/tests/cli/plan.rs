//! `stockade plan --check`.

use crate::program::{User, outcome};

#[test]
fn the_rule_that_decides_is_named() {
    let user = User::new();
    let policy = user.write(
        "network.toml",
        "version = 1\n[network]\nallow = ['*.example.org', '10.1.0.0/16:5432']\ndeny = ['bad.example.org']\n",
    );
    let policy = policy.to_str().expect("unicode");
    let check = |endpoint: &str| outcome(&mut user.stockade(&["plan", "--policy", policy, "--check", endpoint]));
    for (endpoint, status, answer) in [
        ("a.example.org:443", 0, "a.example.org:443: allowed by *.example.org\n"),
        ("A.example.org:22", 1, "a.example.org:22: denied: no rule allows it; --allow a.example.org:22 would\n"),
        ("bad.example.org:443", 1, "bad.example.org:443: denied by bad.example.org\n"),
        ("10.1.2.3:5432", 0, "10.1.2.3:5432: allowed by 10.1.0.0/16:5432\n"),
        ("127.0.0.1:80", 0, "127.0.0.1:80: the sandbox's own loopback\n"),
        ("[2001:db8::1]:80", 1, "[2001:db8::1]:80: denied: no rule allows it; --allow [2001:db8::1]:80 would\n"),
    ] {
        let (found, output, error) = check(endpoint);
        assert_eq!((found, output.as_str()), (status, answer), "{endpoint}: {error}");
    }
    let (status, output, error) = check("a.example.org");
    assert_eq!((status, output.as_str()), (125, ""));
    assert!(error.contains("a port from 1 to 65535"), "{error}");
}

#[test]
fn without_rules_nothing_may_be_reached() {
    let user = User::new();
    let (status, output, _) = outcome(&mut user.stockade(&["plan", "--check", "example.com:443"]));
    assert_eq!(
        (status, output.as_str()),
        (1, "example.com:443: denied: no rule allows it; --allow example.com:443 would\n")
    );
}

/// No option widens what the workspace's own policy has narrowed, and none is suggested.
#[test]
fn an_option_is_suggested_only_where_it_helps() {
    let user = User::new();
    let check = |endpoint: &str| {
        let arguments = ["plan", "--allow", "*.example.org", "--check", endpoint];
        let (_, output, error) = outcome(&mut user.stockade(&arguments));
        (output, error)
    };
    user.write("workspace/.stockade.toml", "version = 1\n[network]\ndeny = ['b.example.org']\n");
    let (output, error) = check("c.example.com:443");
    assert_eq!(output, "c.example.com:443: denied: no rule allows it; --allow c.example.com:443 would\n", "{error}");

    user.write("workspace/.stockade.toml", "version = 1\n[network]\nallow = ['a.example.org']\n");
    for (endpoint, answer) in [
        ("a.example.org:443", "allowed by a.example.org"),
        ("b.example.org:443", "denied: .stockade.toml narrows the rules to others, which no option widens"),
        ("c.example.com:443", "denied: .stockade.toml narrows the rules to others, which no option widens"),
    ] {
        let (output, error) = check(endpoint);
        assert_eq!(output, format!("{endpoint}: {answer}\n"), "{error}");
    }
}
