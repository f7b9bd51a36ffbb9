//! The steps of asking a directory, written down for somebody who wants to see them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use super::error::DirectoryError;

/// One step at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckStep {
    /// The server's URL.
    pub server: String,
    /// `connect`, `TLS`, `service bind`, `base`, `search` …
    pub name: &'static str,
    /// How it went.
    pub outcome: CheckOutcome,
    /// What was done, or what is wrong and what would be right.
    pub detail: String,
    /// The detail quotes a server, which is for operators only.
    pub is_quote: bool,
    /// How long it took.
    pub duration: Duration,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It works.
    Ok,
    /// It does not.
    Failed,
    /// It was not tried, and the detail says why.
    Skipped,
}

/// Whose words the detail of a step is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// The product's own, which every administrator may read.
    Own,
    /// Those of a server or of a library, for operators only.
    Quoted,
}

/// Where steps are written down, or are not: a sign-in goes the same way without anybody looking.
#[derive(Debug)]
pub(super) struct Trail(Option<Mutex<Vec<CheckStep>>>);

impl Trail {
    /// Writes nothing down.
    pub const fn silent() -> Self {
        Self(None)
    }

    /// Writes everything down.
    pub fn recording() -> Self {
        Self(Some(Mutex::default()))
    }

    /// Is anybody looking?
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// A step that is over.
    pub fn add(
        &self,
        server: &Arc<str>,
        name: &'static str,
        outcome: CheckOutcome,
        began: Moment,
        detail: impl FnOnce() -> String,
    ) {
        self.push(server, name, outcome, began, Words::Own, detail);
    }

    /// A step that failed, in the words of whoever let it fail.
    pub fn fail(&self, server: &Arc<str>, name: &'static str, began: Moment, error: &DirectoryError) {
        let detail = || error.to_string();
        self.push(server, name, CheckOutcome::Failed, began, Words::Quoted, detail);
    }

    /// A step with a detail that only operators read.
    pub fn quote(
        &self,
        server: &Arc<str>,
        name: &'static str,
        outcome: CheckOutcome,
        began: Moment,
        detail: impl FnOnce() -> String,
    ) {
        self.push(server, name, outcome, began, Words::Quoted, detail);
    }

    fn push(
        &self,
        server: &Arc<str>,
        name: &'static str,
        outcome: CheckOutcome,
        began: Moment,
        words: Words,
        detail: impl FnOnce() -> String,
    ) {
        let Some(steps) = &self.0 else { return };
        let step = CheckStep {
            server: server.to_string(),
            name,
            outcome,
            detail: detail(),
            is_quote: words == Words::Quoted,
            duration: began.elapsed(),
        };
        // Nothing can panic while the lock is held.
        steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    /// A step that was not tried.
    pub fn skip(&self, server: &Arc<str>, name: &'static str, why: &str) {
        self.add(server, name, CheckOutcome::Skipped, Moment::now(), || why.to_owned());
    }

    /// A step that worked, or failed for the reason it gives.
    pub fn take<T>(
        &self,
        server: &Arc<str>,
        name: &'static str,
        began: Moment,
        tried: Result<T, DirectoryError>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, DirectoryError> {
        match &tried {
            Ok(value) => self.add(server, name, CheckOutcome::Ok, began, || detail(value)),
            Err(error) => self.fail(server, name, began, error),
        }
        tried
    }

    /// What was written down.
    pub fn into_steps(self) -> Vec<CheckStep> {
        let steps = self
            .0
            .map(|steps| steps.into_inner().unwrap_or_else(PoisonError::into_inner));
        steps.unwrap_or_default()
    }
}
