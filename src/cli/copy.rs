//! `doorward copy`

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::app;
use crate::cli::Format;
use crate::cli::failure::Usage;
use crate::cli::output::{Colour, Output, Table};
use crate::cli::progress::Progress;
use crate::config::StoreUrl;
use crate::domain::clock::{Clock, SystemClock};
use crate::service::{CopyProgress, CopyStage, KindReport, copy_store};
use crate::store::Store;

/// From where, and where to.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  doorward copy --from sqlite:doorward-data/doorward.db --to 'mongodb://h1,h2,h3/doorward?replicaSet=rs0'\n\n\
    Everything that is kept goes along: accounts, users with their passwords, roles, groups, sessions, API tokens,\n\
    pictures, sign-ins, the audit log, the outbox and its links. The target must be empty. A copy that was interrupted goes on where it was\n\
    when the same command is run again. At the end both stores are compared by counts and digests.\n\
    Stop the servers of both stores first: what is changed meanwhile makes the two differ, and takes another run.\n\
    An address with a password is better given in DOORWARD_COPY_FROM or DOORWARD_COPY_TO than as an argument."
)]
pub(super) struct CopyArgs {
    /// The store that there is: sqlite:PATH or mongodb://HOSTS/DATABASE
    #[arg(long, value_name = "URL", env = "DOORWARD_COPY_FROM", hide_env_values = true)]
    from: String,
    /// The store that it goes into, which must be empty
    #[arg(long, value_name = "URL", env = "DOORWARD_COPY_TO", hide_env_values = true)]
    to: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    equal: bool,
    seconds: f64,
    kinds: Vec<KindJson<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KindJson<'a> {
    kind: &'a str,
    written: u64,
    removed: u64,
    equal: bool,
    source: TallyJson,
    target: TallyJson,
}

#[derive(Debug, Serialize)]
struct TallyJson {
    count: u64,
    digest: String,
}

pub(super) async fn run(args: CopyArgs) -> anyhow::Result<()> {
    let from = address("--from", &args.from)?;
    let to = address("--to", &args.to)?;
    if from.redacted() == to.redacted() {
        return Err(Usage(format!("--from and --to are the same store, {}", to.redacted())).into());
    }
    if let StoreUrl::Sqlite(path) = &from {
        // Opening it would make it.
        anyhow::ensure!(Path::new(path).is_file(), "--from: there is no file {}", path.display());
    }
    let from = app::open_store(&from).await.context("--from")?;
    let to = match app::open_store(&to).await {
        Ok(to) => to,
        Err(error) => {
            from.close().await;
            return Err(anyhow::Error::from(error).context("--to"));
        }
    };
    let copied = copy(&from, &to, args.format).await;
    from.close().await;
    to.close().await;
    copied
}

fn address(option: &str, text: &str) -> anyhow::Result<StoreUrl> {
    text.parse::<StoreUrl>()
        .map_err(|error| Usage(format!("{option} {error}")).into())
}

async fn copy(from: &Arc<dyn Store>, to: &Arc<dyn Store>, format: Format) -> anyhow::Result<()> {
    let began = Instant::now();
    let bar = Mutex::new(None::<(CopyProgress, Progress)>);
    let reports = copy_store(Arc::clone(from), Arc::clone(to), SystemClock.now(), &|now| {
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        show(&mut bar, now);
    })
    .await;
    if let Some((_, bar)) = bar.into_inner().unwrap_or_else(PoisonError::into_inner) {
        bar.end();
    }
    let reports = reports?;
    let equal = reports.iter().all(KindReport::is_equal);
    let mut out = Output::new(format.json);
    if out.is_json() {
        out.value(&Report {
            equal,
            seconds: began.elapsed().as_secs_f64(),
            kinds: reports.iter().map(KindJson::from).collect(),
        })?;
    } else {
        table(&mut out, &reports)?;
        out.line(&format!(
            "{} records written in {:.1} s",
            reports.iter().map(|report| report.written).sum::<u64>(),
            began.elapsed().as_secs_f64()
        ))?;
    }
    out.finish()?;
    anyhow::ensure!(
        equal,
        "the two stores differ: was one of them changed meanwhile? Stop its server and run the same command again"
    );
    Ok(())
}

/// One bar a stage and kind.
fn show(bar: &mut Option<(CopyProgress, Progress)>, now: CopyProgress) {
    let same = |before: &CopyProgress| (before.stage, before.kind) == (now.stage, now.kind);
    if !bar.as_ref().is_some_and(|(before, _)| same(before)) {
        if let Some((_, bar)) = bar.take() {
            bar.end();
        }
        *bar = Some((now, Progress::new(Some(now.total), now.kind.name())));
    }
    if let Some((_, bar)) = bar {
        let doing = match now.stage {
            CopyStage::Clearing => "looking for what is gone",
            CopyStage::Copying => "copying",
            CopyStage::Settling => "noting last sign-ins",
            CopyStage::Verifying => "comparing",
        };
        bar.show(now.done, doing);
    }
}

fn table(out: &mut Output, reports: &[KindReport]) -> anyhow::Result<()> {
    let mut table = Table::new(["KIND", "WRITTEN", "REMOVED", "SOURCE", "TARGET", "DIGEST OF THE TARGET"]);
    let rows: Vec<[String; 6]> = reports
        .iter()
        .map(|report| {
            let digest = report.target.hex();
            let equal = if report.is_equal() {
                digest
            } else {
                out.paint(&format!("{digest} DIFFERS"), Colour::Red)
            };
            [
                report.kind.name().to_owned(),
                report.written.to_string(),
                report.removed.to_string(),
                report.source.count.to_string(),
                report.target.count.to_string(),
                equal,
            ]
        })
        .collect();
    table.rows(out, &rows)
}

impl<'a> From<&'a KindReport> for KindJson<'a> {
    fn from(report: &'a KindReport) -> Self {
        let tally = |tally: crate::service::Tally| TallyJson {
            count: tally.count,
            digest: tally.hex(),
        };
        Self {
            kind: report.kind.name(),
            written: report.written,
            removed: report.removed,
            equal: report.is_equal(),
            source: tally(report.source),
            target: tally(report.target),
        }
    }
}
