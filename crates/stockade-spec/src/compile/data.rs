//! The tables that say what is seen where. They are text, one entry a line, so that a reader can check them and adding an
//! entry needs no code.

/// System directories, devices, private stores.
pub(super) const SYSTEM: &str = include_str!("../../data/system.txt");
/// What is closed of `/proc`.
pub(super) const PROC: &str = include_str!("../../data/proc.txt");
/// Toolchains, caches and credentials below home.
pub(super) const HOME: &str = include_str!("../../data/home.txt");
/// Directories that cannot be a workspace.
pub(super) const REFUSED: &str = include_str!("../../data/refused.txt");
/// Globs of protected files.
pub(super) const PROTECTED: &str = include_str!("../../data/protected.txt");
/// Environment variables.
pub(super) const ENVIRONMENT: &str = include_str!("../../data/environment.txt");

/// The entries of a table: the first word, and the rest of the line. Empty lines and comments are left out.
pub(super) fn entries(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_entry_of_a_known_kind() {
        for (table, kinds) in [
            (SYSTEM, &["show", "hide", "root", "identity", "device", "link", "store"][..]),
            (PROC, &["hold", "hide"]),
            (HOME, &["show", "cache", "secret", "part", "private", "variable"]),
            (REFUSED, &["itself", "below"]),
            (PROTECTED, &["glob"]),
            (ENVIRONMENT, &["pass", "path", "never", "secret"]),
        ] {
            let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
            let parsed: Vec<_> = entries(table).collect();
            assert_eq!(parsed.len(), lines);
            for (kind, rest) in parsed {
                assert!(kinds.contains(&kind), "{kind} {rest}");
                assert_eq!(rest, rest.trim(), "stray blanks");
            }
        }
    }
}
