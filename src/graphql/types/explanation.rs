//! `LoginExplanation`: what was looked at, step by step.

use async_graphql::{Enum, SimpleObject};

use crate::service;

/// What would happen at a sign-in, or whether a directory works.
#[derive(Debug, Clone, SimpleObject)]
pub struct LoginExplanation {
    /// With the right password they would be let in, or: every step works; null when that cannot be said.
    would_succeed: Option<bool>,
    /// What was looked at, in order.
    steps: Vec<ExplanationStep>,
}

/// One step.
#[derive(Debug, Clone, SimpleObject)]
pub struct ExplanationStep {
    /// What was looked at.
    name: String,
    /// How it went.
    outcome: StepOutcome,
    /// What was found, or what is wrong and what would be right; a server's own words for operators only.
    detail: String,
    /// How long it took, in milliseconds.
    duration_ms: f64,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "service::StepOutcome")]
pub enum StepOutcome {
    /// As it should.
    Ok,
    /// Not as it should.
    Failed,
    /// It was not looked at.
    Skipped,
    /// It cannot be said.
    Unknown,
}

impl From<service::Explanation> for LoginExplanation {
    fn from(explanation: service::Explanation) -> Self {
        Self {
            would_succeed: explanation.would_succeed,
            steps: explanation.steps.into_iter().map(ExplanationStep::from).collect(),
        }
    }
}

impl From<service::ExplanationStep> for ExplanationStep {
    fn from(step: service::ExplanationStep) -> Self {
        Self {
            name: step.name,
            outcome: step.outcome.into(),
            detail: step.detail,
            // To the microsecond: more would only be noise.
            duration_ms: (step.duration.as_secs_f64() * 1e6).round() / 1e3,
        }
    }
}
