//! The part of libtest's command line that cargo and nextest use.

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Only list.
    pub(crate) list: bool,
    /// Only what is ignored.
    pub(crate) ignored: bool,
    /// Names have to be equal to a filter, not only to hold it.
    exact: bool,
    filters: Vec<String>,
    skipped: Vec<String>,
}

impl Arguments {
    /// Reads the arguments.
    ///
    /// # Errors
    /// With the first one that is not known.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => arguments.list = true,
                "--ignored" => arguments.ignored = true,
                "--exact" => arguments.exact = true,
                "--nocapture" | "--no-capture" | "--include-ignored" | "-q" | "--quiet" => {}
                "--format" | "--color" | "--test-threads" => drop(words.next()),
                "--skip" => arguments.skipped.extend(words.next()),
                word if word.starts_with('-') => {
                    let known = ["--format=", "--color=", "--test-threads="].iter().any(|name| word.starts_with(name));
                    if !known {
                        return Err(word.to_owned());
                    }
                }
                _ => arguments.filters.push(word),
            }
        }
        Ok(arguments)
    }

    /// Whether a test is meant.
    pub(crate) fn select(&self, name: &str) -> bool {
        let fits = |filter: &String| if self.exact { filter == name } else { name.contains(filter.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}
