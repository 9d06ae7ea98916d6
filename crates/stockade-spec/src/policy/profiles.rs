//! The built-in profiles: policies shipped as data.

/// Name and text of every built-in profile, the default first.
pub const PROFILES: &[(&str, &str)] = &[
    ("default", include_str!("../../profiles/default.toml")),
    ("read-only", include_str!("../../profiles/read-only.toml")),
    ("research", include_str!("../../profiles/research.toml")),
    ("hardened", include_str!("../../profiles/hardened.toml")),
];

/// The profile that a policy starts from when nothing names one.
pub const DEFAULT_PROFILE: &str = "default";

/// The text of a profile.
#[must_use]
pub fn profile_text(name: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
