//! `doorward sync`: reads an account's directory again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use crate::cli::Format;
use crate::cli::names::{self, explained};
use crate::cli::output::{Output, Table};
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::service::{SyncChange, SyncChangeKind, SyncPlan, SyncProgress, SyncReport};

/// How often is shown how far it is.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// What to read.
#[derive(Debug, Args)]
#[command(
    after_help = "Whoever is gone is disabled, never deleted, and enabled again when the directory has them again.\n\
    People who are new become users where the directory's section says provision = \"just_in_time\"."
)]
pub(super) struct SyncArgs {
    /// The account
    account: String,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Change nothing when more than this share of the linked users, and at least 5, would be disabled
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i64).range(0..=100))]
    max_disable_percent: i64,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    dry_run: bool,
    added: u64,
    updated: u64,
    disabled: u64,
    unchanged: u64,
    stopped: Option<&'a str>,
    changes: Vec<Change<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    login: &'a str,
    kind: &'static str,
    gained: &'a [String],
    lost: &'a [String],
}

impl<'a> From<&'a SyncChange> for Change<'a> {
    fn from(change: &'a SyncChange) -> Self {
        Self {
            login: &change.login,
            kind: kind(change.kind),
            gained: &change.gained,
            lost: &change.lost,
        }
    }
}

pub(super) async fn run(session: &Session, args: SyncArgs) -> anyhow::Result<()> {
    let account = names::account(&session.caller, &args.account).await?;
    let plan = SyncPlan {
        dry_run: args.dry_run,
        max_disable_percent: args.max_disable_percent,
    };
    let so_far = Arc::new(SyncProgress::default());
    let shown = Progress::new(None, "people read");
    let report = {
        let sync = session
            .caller
            .sync_directory(Some(Some(account.id)), plan, Arc::clone(&so_far));
        tokio::pin!(sync);
        let mut ticks = tokio::time::interval(SHOW_EVERY);
        loop {
            tokio::select! {
                report = &mut sync => break report,
                _ = ticks.tick() => {
                    let done = so_far.done.load(Ordering::Relaxed);
                    shown.show(so_far.found.load(Ordering::Relaxed), &format!("{done} of them written"));
                }
            }
        }
    };
    shown.end();
    let report = report.map_err(explained)?;
    let mut out = Output::new(args.format.json);
    if out.is_json() {
        out.value(&json(&report, args.dry_run))?;
    } else {
        print(&mut out, &report, args.dry_run)?;
    }
    out.finish()?;
    match report.stopped {
        Some(why) => bail!("stopped: {why}"),
        None => Ok(()),
    }
}

fn print(out: &mut Output, report: &SyncReport, dry_run: bool) -> anyhow::Result<()> {
    let mut table = Table::new(["LOGIN", "CHANGE", "GAINED", "LOST"]);
    let dash = |names: &[String]| {
        if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(", ")
        }
    };
    let row = |change: &SyncChange| {
        let kind = kind(change.kind).to_lowercase();
        [change.login.clone(), kind, dash(&change.gained), dash(&change.lost)]
    };
    let rows: Vec<_> = report.changes.iter().map(row).collect();
    table.rows(out, &rows)?;
    if report.stopped.is_none() {
        let would = if dry_run { "would be: " } else { "" };
        out.line(&format!(
            "{would}{} added, {} updated, {} disabled, {} unchanged",
            report.added, report.updated, report.disabled, report.unchanged
        ))?;
    }
    Ok(())
}

fn kind(kind: SyncChangeKind) -> &'static str {
    match kind {
        SyncChangeKind::Added => "ADDED",
        SyncChangeKind::Updated => "UPDATED",
        SyncChangeKind::Disabled => "DISABLED",
        SyncChangeKind::Enabled => "ENABLED",
    }
}

fn json(report: &SyncReport, dry_run: bool) -> Report<'_> {
    Report {
        dry_run,
        added: report.added,
        updated: report.updated,
        disabled: report.disabled,
        unchanged: report.unchanged,
        stopped: report.stopped.as_deref(),
        changes: report.changes.iter().map(Change::from).collect(),
    }
}
