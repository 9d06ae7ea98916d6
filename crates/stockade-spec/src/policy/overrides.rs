//! What command-line options say, as the strongest trusted layer.

use super::Limits;
use super::checks;
use super::diagnostic::{Diagnostic, Fault};
use super::layer::{
    EnvironmentLayer, Field, FilesystemLayer, LastingLayer, Layer, LimitsLayer, List, Located, NetworkLayer,
};
use super::print::Processors;
use crate::report::Protection;

/// What the command line says. Paths are as in a policy: whoever fills this in makes relative ones absolute before, since
/// a policy's are relative to the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--read`.
    pub read: Vec<String>,
    /// `--write`.
    pub write: Vec<String>,
    /// `--deny`.
    pub deny: Vec<String>,
    /// `--allow`.
    pub allow: Vec<String>,
    /// `--publish`.
    pub publish: Vec<String>,
    /// `--unix`.
    pub unix: Vec<String>,
    /// `--env NAME`.
    pub pass: Vec<String>,
    /// `--env NAME=VALUE`.
    pub set: Vec<(String, String)>,
    /// `--memory`, `--cpus` and so on; `None` leaves what the policy says.
    pub limits: Limits,
    /// `--accept-degraded`.
    pub accept_degraded: Vec<Protection>,
}

impl Overrides {
    pub(super) fn layer(&self) -> Result<Layer, Vec<Diagnostic>> {
        let mut reader = Reader::default();
        let profile = self.profile.as_slice();
        let layer = Layer {
            extends: reader.list("--profile", profile, checks::profile).and_then(|mut names| names.pop()),
            filesystem: FilesystemLayer {
                workspace: None,
                read: reader.list("--read", &self.read, checks::allowed_path),
                write: reader.list("--write", &self.write, checks::allowed_path),
                deny: reader.list("--deny", &self.deny, checks::deny_rule),
                protect: None,
            },
            network: NetworkLayer {
                allow: reader.list("--allow", &self.allow, checks::allowed_endpoint),
                publish: reader.list("--publish", &self.publish, checks::published_port),
                ..NetworkLayer::default()
            },
            unix: reader.list("--unix", &self.unix, checks::socket_path),
            limits: reader.limits(&self.limits),
            environment: EnvironmentLayer {
                pass: reader.list("--env", &self.pass, checks::passed_name),
                set: reader.variables(&self.set),
            },
            nested_namespaces: None,
            sandbox: LastingLayer::default(),
            isolation: None,
            accept_degraded: Some(self.accept_degraded.iter().copied().map(placeless).collect()),
        };
        if reader.wrong.is_empty() { Ok(layer) } else { Err(reader.wrong) }
    }
}

/// Options have no place in a text.
const fn placeless<T>(value: T) -> Located<T> {
    Located { value, span: 0..0 }
}

fn processors(milli: &u32) -> String {
    Processors(*milli).to_string()
}

#[derive(Default)]
struct Reader {
    wrong: Vec<Diagnostic>,
}

impl Reader {
    fn accept<T>(&mut self, option: &str, text: &str, result: Result<T, Fault>) -> Option<Located<T>> {
        match result {
            Ok(value) => Some(placeless(value)),
            Err(fault) => {
                self.wrong.push(Diagnostic::of_option(option, text, fault));
                None
            }
        }
    }

    fn list<T>(&mut self, option: &str, texts: &[String], check: fn(&str) -> Result<T, Fault>) -> List<T> {
        Some(texts.iter().filter_map(|text| self.accept(option, text, check(text))).collect())
    }

    fn variables(&mut self, pairs: &[(String, String)]) -> List<(String, String)> {
        let read = |(name, value): &(String, String)| {
            let checked = checks::set_name(name).and_then(|n| Ok((n, checks::variable_value(value)?)));
            self.accept("--env", name, checked)
        };
        Some(pairs.iter().filter_map(read).collect())
    }

    fn bound<T: Copy + ToString>(
        &mut self,
        option: &str,
        value: Option<T>,
        check: fn(T) -> Result<T, Fault>,
    ) -> Field<T> {
        self.shown_bound(option, value, T::to_string, check)
    }

    fn shown_bound<T: Copy>(
        &mut self,
        option: &str,
        value: Option<T>,
        show: fn(&T) -> String,
        check: fn(T) -> Result<T, Fault>,
    ) -> Field<T> {
        value.and_then(|value| self.accept(option, &show(&value), check(value)))
    }

    fn limits(&mut self, limits: &Limits) -> LimitsLayer {
        LimitsLayer {
            memory: self.bound("--memory", limits.memory, checks::memory),
            milli_cpus: self.shown_bound("--cpus", limits.milli_cpus, processors, checks::milli_cpus),
            processes: self.bound("--processes", limits.processes, checks::process_count),
            files: self.bound("--files", limits.files, checks::file_count),
            disk: self.bound("--disk", limits.disk, checks::disk),
            time: self.bound("--time", limits.time, checks::time),
            output: self.bound("--output", limits.output, checks::output),
        }
    }
}
