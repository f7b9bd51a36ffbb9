//! `doorward explain`: what would happen at a sign-in, step by step.

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use crate::cli::Format;
use crate::cli::names;
use crate::cli::output::{Colour, Output};
use crate::cli::session::Session;
use crate::service::{Explanation, StepOutcome};

/// Whom to explain.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is tried with a password, and nothing is bound as the person.\n\
    The exit code is 0 when they would be let in with the right password, or nothing speaks against it."
)]
pub(super) struct ExplainArgs {
    /// Whom
    #[arg(value_name = "LOGIN@ACCOUNT")]
    login: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    login: &'a str,
    would_succeed: Option<bool>,
    steps: Vec<Step<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step<'a> {
    name: &'a str,
    outcome: &'static str,
    detail: &'a str,
    duration_ms: f64,
}

pub(super) async fn run(session: &Session, args: ExplainArgs) -> anyhow::Result<()> {
    let (_, account) = names::split(&args.login, "LOGIN")?;
    names::account(&session.caller, account).await?;
    let explanation = session.caller.explain_login(&args.login).await?;
    let explanation = explanation.with_context(|| format!("{:?} cannot be anybody's login", args.login))?;
    let mut out = Output::new(args.format.json);
    if out.is_json() {
        out.value(&report(&args.login, &explanation))?;
    } else {
        print(&mut out, &explanation)?;
    }
    out.finish()?;
    if explanation.would_succeed == Some(false) {
        bail!("{} would not be let in", args.login);
    }
    Ok(())
}

fn print(out: &mut Output, explanation: &Explanation) -> anyhow::Result<()> {
    for step in &explanation.steps {
        let (word, colour) = word(step.outcome);
        let took = format!("{:.1} ms", step.duration.as_secs_f64() * 1e3);
        let line = format!(
            "{}  {took:>10}  {}: {}",
            out.paint(word, colour),
            step.name,
            step.detail
        );
        out.line(&line)?;
    }
    let verdict = match explanation.would_succeed {
        Some(true) => "with the right password they would be let in",
        Some(false) => return Ok(()), // said as the reason of failure
        None => "whether they would be let in cannot be said without their password",
    };
    let line = out.paint(verdict, Colour::Bold);
    out.line(&line)
}

fn word(outcome: StepOutcome) -> (&'static str, Colour) {
    match outcome {
        StepOutcome::Ok => ("ok     ", Colour::Green),
        StepOutcome::Failed => ("FAILED ", Colour::Red),
        StepOutcome::Skipped => ("skipped", Colour::Dim),
        StepOutcome::Unknown => ("unknown", Colour::Dim),
    }
}

fn report<'a>(login: &'a str, explanation: &'a Explanation) -> Report<'a> {
    let steps = explanation.steps.iter().map(|step| Step {
        name: &step.name,
        outcome: match step.outcome {
            StepOutcome::Ok => "OK",
            StepOutcome::Failed => "FAILED",
            StepOutcome::Skipped => "SKIPPED",
            StepOutcome::Unknown => "UNKNOWN",
        },
        detail: &step.detail,
        duration_ms: (step.duration.as_secs_f64() * 1e6).round() / 1e3,
    });
    Report {
        login,
        would_succeed: explanation.would_succeed,
        steps: steps.collect(),
    }
}
