//! Collects what is wrong with one text, up to a bound.

use std::ops::Range;

use crate::policy::diagnostic::{Diagnostic, Fault, Source};

/// Most diagnostics for one text; who made more mistakes sees the others after mending these.
const MAX_DIAGNOSTICS: usize = 32;

#[derive(Debug)]
pub(in crate::policy) struct Problems<'t> {
    source: Source<'t>,
    found: Vec<(Range<usize>, Fault)>,
    unseen: usize,
}

impl<'t> Problems<'t> {
    pub(in crate::policy) const fn new(source: Source<'t>) -> Self {
        Self { source, found: Vec::new(), unseen: 0 }
    }

    pub(in crate::policy) fn report(&mut self, span: Range<usize>, fault: Fault) {
        if self.found.len() < MAX_DIAGNOSTICS {
            self.found.push((span, fault));
        } else {
            self.unseen += 1;
        }
    }

    /// Takes the value, or reports why there is none.
    pub(super) fn accept<T>(&mut self, span: Range<usize>, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.report(span, fault)).ok()
    }

    /// The diagnostics, in the order of the text.
    pub(in crate::policy) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|(span, _)| span.start);
        let source = self.source;
        let mut diagnostics: Vec<_> =
            self.found.into_iter().map(|(span, fault)| Diagnostic::new(source, span, fault)).collect();
        if self.unseen > 0 {
            let fault = Fault::new(format!("{} more mistakes are not shown", self.unseen), "mend those above first");
            diagnostics.push(Diagnostic::new(source, source.text.len()..source.text.len(), fault));
        }
        diagnostics
    }
}
