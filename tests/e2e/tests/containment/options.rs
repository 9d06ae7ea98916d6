//! The command line that `cargo test` and `cargo nextest` speak.

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Print names instead of running.
    pub(crate) list: bool,
    exact: bool,
    ignored: bool,
    names: Vec<String>,
}

impl Options {
    /// Reads the arguments; options of the usual harness that mean nothing here are passed over.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--ignored" => options.ignored = true,
                "--format" | "--test-threads" => drop(arguments.next()),
                other if other.starts_with('-') => {}
                name => options.names.push(name.to_owned()),
            }
        }
        options
    }

    /// Whether a trial of that name was asked for.
    pub(crate) fn takes(&self, name: &str) -> bool {
        // No trial is ignored: whoever asks for those gets none.
        let fits = |part: &String| if self.exact { name == part } else { name.contains(part.as_str()) };
        !self.ignored && (self.names.is_empty() || self.names.iter().any(fits))
    }
}
