//! `doorward export`

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use crate::cli::Format;
use crate::cli::failure::{OutputClosed, Usage};
use crate::cli::import::{FormatArg, file_format, in_words};
use crate::cli::names::{self, explained};
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::service::{Counts, ExportOptions, FileFormat};
use crate::store::transfer::Kind;

/// Batches that wait to be written.
const AHEAD: usize = 2;

/// What is written, and where to.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  doorward export people.ndjson\n  doorward export acme.csv --account acme\n  doorward export - --format ndjson --history | gzip > all.ndjson.gz\n\n\
    NDJSON holds accounts, roles, groups, users and, with --history, sign-ins; CSV holds users only. The file is for its\n\
    owner only, and is there when it is whole. It never holds secrets of sessions or tokens, and password hashes only\n\
    with --passwords. `doorward import` reads it back, here or elsewhere."
)]
pub(super) struct ExportArgs {
    /// An .ndjson, .jsonl or .csv file; - for standard output
    file: String,
    /// One account only
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Export sign-ins too
    #[arg(long)]
    history: bool,
    /// Export password hashes too: whoever has the file can try passwords against them
    #[arg(long)]
    passwords: bool,
    /// How the file is written, when its name does not say so
    #[arg(long = "format", value_enum, value_name = "FORMAT")]
    file_format: Option<FormatArg>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    file: &'a str,
    seconds: f64,
    exported: &'a Counts,
}

/// Where it is written.
enum Target {
    Stdout,
    /// Beside the file, in whose place it comes at the end.
    File(NamedTempFile),
}

pub(super) async fn run(session: &Session, args: ExportArgs) -> anyhow::Result<()> {
    let format = file_format(&args.file, args.file_format)?;
    if format == FileFormat::Csv && args.history {
        return Err(Usage("--history takes NDJSON: a CSV file holds users only".to_owned()).into());
    }
    if args.file == "-" && args.format.json {
        return Err(Usage("--json and - both write to standard output; name a file".to_owned()).into());
    }
    let account = match &args.account {
        Some(name) => Some(names::account(&session.caller, name).await?.name),
        None => None,
    };
    let options = ExportOptions {
        format,
        account,
        history: args.history,
        passwords: args.passwords,
    };
    let target = if args.file == "-" {
        Target::Stdout
    } else {
        Target::File(beside(Path::new(&args.file))?)
    };
    let (send, take) = mpsc::channel(AHEAD);
    let writing = tokio::task::spawn_blocking(move || write(target, take));
    let began = Instant::now();
    let bar = Mutex::new(None::<(Kind, Progress)>);
    let exported = session
        .caller
        .export(&options, send, &|kind, done, total| {
            let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
            if bar.as_ref().is_none_or(|(before, _)| *before != kind) {
                if let Some((_, bar)) = bar.take() {
                    bar.end();
                }
                *bar = Some((kind, Progress::new(Some(total), kind.name())));
            }
            if let Some((_, bar)) = bar.as_ref() {
                bar.show(done, "exporting");
            }
        })
        .await;
    if let Some((_, bar)) = bar.into_inner().unwrap_or_else(PoisonError::into_inner) {
        bar.end();
    }
    // Why nobody took what was written says more than that nobody did.
    let target = writing
        .await
        .context("writing was not finished")?
        .map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => OutputClosed.into(),
            _ => anyhow::Error::from(error).context(format!("cannot write {}", args.file)),
        })?;
    let counts = exported.map_err(explained)?;
    if let Target::File(file) = target {
        file.persist(&args.file)
            .with_context(|| format!("cannot write {}", args.file))?;
        report(&args, &counts, began.elapsed().as_secs_f64())?;
    }
    Ok(())
}

fn report(args: &ExportArgs, counts: &Counts, seconds: f64) -> anyhow::Result<()> {
    let mut out = Output::new(args.format.json);
    if out.is_json() {
        out.value(&Report {
            file: &args.file,
            seconds,
            exported: counts,
        })?;
    } else {
        out.line(&format!("exported {} in {seconds:.1} s", in_words(counts)))?;
    }
    out.finish()
}

/// A new file in the same folder, for the owner only.
fn beside(file: &Path) -> anyhow::Result<NamedTempFile> {
    if fs::metadata(file).is_ok_and(|data| data.is_dir()) {
        return Err(Usage(format!("{} is a folder; name a file", file.display())).into());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = tempfile::Builder::new()
        .prefix(".doorward-export-")
        .tempfile_in(folder.unwrap_or(Path::new(".")));
    made.with_context(|| format!("cannot write {}", file.display()))
}

fn write(mut target: Target, mut take: mpsc::Receiver<Vec<u8>>) -> io::Result<Target> {
    match &mut target {
        Target::Stdout => {
            let mut stdout = BufWriter::new(io::stdout().lock());
            while let Some(bytes) = take.blocking_recv() {
                stdout.write_all(&bytes)?;
            }
            stdout.flush()?;
        }
        Target::File(file) => {
            while let Some(bytes) = take.blocking_recv() {
                file.write_all(&bytes)?;
            }
            file.as_file().sync_all()?;
        }
    }
    Ok(target)
}
