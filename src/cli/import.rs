//! `doorward import`

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::Format;
use crate::cli::failure::Usage;
use crate::cli::names::{self, explained};
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::service::{Counts, FileFormat, ImportEvent, ImportOptions, ImportReport};

/// What is read, and what is done with it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  doorward import people.ndjson --dry-run\n  doorward import people.csv --account acme\n  zcat people.ndjson.gz | doorward import - --format ndjson\n\n\
    What is missing is created, what differs from the file is updated, everything else stays as it is: importing twice\n\
    changes nothing, and an import that was interrupted goes on with the same command. Each line that is not taken is\n\
    told with its number and the reason, and ends the command with 1; the others are imported.\n\
    Password hashes may be argon2, bcrypt, scrypt, PBKDF2, {SSHA}, {SSHA256}, {SSHA384} or {SSHA512}; those of other\n\
    systems become argon2id at the first sign-in. The README has the format of the files."
)]
pub(super) struct ImportArgs {
    /// An .ndjson, .jsonl or .csv file; - for standard input
    file: String,
    /// The account of lines that name none; lines of other accounts are rejected
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Import sign-ins too
    #[arg(long)]
    history: bool,
    /// How the file is written, when its name does not say so
    #[arg(long = "format", value_enum, value_name = "FORMAT")]
    file_format: Option<FormatArg>,
    #[command(flatten)]
    format: Format,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatArg {
    /// One JSON object a line
    Ndjson,
    /// Users as comma-separated values
    Csv,
}

/// How a file is written: as is said, or by its name.
pub(super) fn file_format(file: &str, given: Option<FormatArg>) -> anyhow::Result<FileFormat> {
    match given {
        Some(FormatArg::Ndjson) => return Ok(FileFormat::Ndjson),
        Some(FormatArg::Csv) => return Ok(FileFormat::Csv),
        None => {}
    }
    let ending = Path::new(file).extension().and_then(|ending| ending.to_str());
    ending.and_then(FileFormat::of).ok_or_else(|| {
        let message = format!("{file:?} does not say how it is written; end it in .ndjson or .csv, or give --format");
        Usage(message).into()
    })
}

#[derive(Debug, Serialize)]
struct RejectedJson<'a> {
    line: u64,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    dry_run: bool,
    seconds: f64,
    #[serde(flatten)]
    report: &'a ImportReport,
}

pub(super) async fn run(session: &Session, args: ImportArgs) -> anyhow::Result<()> {
    let format = file_format(&args.file, args.file_format)?;
    let account = match &args.account {
        Some(name) => Some(names::account(&session.caller, name).await?.name),
        None => None,
    };
    let (input, size): (Box<dyn Read + Send>, Option<u64>) = if args.file == "-" {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(&args.file).with_context(|| format!("cannot open {}", args.file))?;
        let size = file
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|data| data.len());
        (Box::new(file), size)
    };
    let options = ImportOptions {
        format,
        account,
        dry_run: args.dry_run,
        history: args.history,
    };
    let mut out = Output::new(args.format.json);
    if out.is_json() {
        out.text("{\"rejectedLines\": ")?;
    }
    let progress = Progress::new(size.map(|size| size.div_ceil(1024)), "KiB");
    // What became of writing what was told, as well.
    let told = Mutex::new((out, anyhow::Ok(())));
    let began = Instant::now();
    let imported = session
        .caller
        .import(input, options, &|event| match event {
            ImportEvent::Rejected { line, reason } => progress.aside(|| {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                let (out, outcome) = &mut *told;
                if outcome.is_ok() {
                    *outcome = reject(out, line, reason);
                }
            }),
            ImportEvent::Progress { bytes, report } => {
                let lines = indicatif::HumanCount(report.lines);
                let rejected = indicatif::HumanCount(report.rejected);
                progress.show(bytes / 1024, &format!("{lines} lines, {rejected} rejected"));
            }
        })
        .await;
    let seconds = began.elapsed().as_secs_f64();
    progress.end();
    let (mut out, outcome) = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome?;
    let report = match imported {
        Ok(report) => report,
        Err(error) => {
            out.finish()?;
            return Err(explained(error));
        }
    };
    if !args.dry_run {
        session.services().ensure_system_account().await?;
    }
    if out.is_json() {
        out.end_list()?;
        let report = serde_json::to_string(&Report {
            dry_run: args.dry_run,
            seconds,
            report: &report,
        })?;
        // The list that was begun is the first field of the same object.
        out.line(&format!(", {}", report.trim_start_matches('{')))?;
    } else {
        summary(&mut out, &report, args.dry_run, seconds)?;
    }
    out.finish()?;
    let rejected = report.rejected;
    let (lines, were) = if rejected == 1 {
        ("line", "was")
    } else {
        ("lines", "were")
    };
    anyhow::ensure!(rejected == 0, "{rejected} {lines} of {} {were} rejected", report.lines);
    Ok(())
}

fn reject(out: &mut Output, line: u64, reason: &str) -> anyhow::Result<()> {
    if out.is_json() {
        return out.element(&RejectedJson { line, reason });
    }
    out.line(&format!("line {line}: {reason}"))?;
    out.flush()
}

fn summary(out: &mut Output, report: &ImportReport, dry_run: bool, seconds: f64) -> anyhow::Result<()> {
    let would = if dry_run { "would be " } else { "" };
    for (done, counts) in [
        ("created", &report.created),
        ("updated", &report.updated),
        ("unchanged", &report.unchanged),
    ] {
        if counts.total() > 0 {
            out.line(&format!("{would}{done}: {}", in_words(counts)))?;
        }
    }
    if report.skipped > 0 {
        out.line(&format!(
            "skipped: {} sign-ins, which --history imports",
            report.skipped
        ))?;
    }
    if report.created.total() + report.updated.total() == 0 {
        out.line("nothing changed")?;
    }
    let rate = report.lines as f64 / seconds.max(f64::MIN_POSITIVE);
    out.line(&format!(
        "{} lines, {} rejected, in {seconds:.1} s ({rate:.0} lines/s)",
        report.lines, report.rejected
    ))
}

/// What there is of each kind.
pub(super) fn in_words(counts: &Counts) -> String {
    let each = [
        (counts.accounts, "account"),
        (counts.roles, "role"),
        (counts.groups, "group"),
        (counts.users, "user"),
        (counts.logins, "sign-in"),
    ];
    let some = each.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = some
        .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}
