//! `doorward mail`: what the messages look like, and the outbox.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand};

use crate::cli::Common;
use crate::cli::failure::Usage;
use crate::cli::outbox;
use crate::cli::output::Output;
use crate::cli::session::{Session, load_config};
use crate::cli::user::LanguageArg;
use crate::config::Config;
use crate::domain::account::Language;
use crate::mail::samples::{NAMES, nearest_name, sample};
use crate::mail::{Rendered, Templates, message};

#[derive(Debug, Subcommand)]
pub(super) enum MailCommand {
    /// Show a message with made-up contents, as it would be sent
    Preview(PreviewArgs),
    /// List the outbox, newest first
    Queue(outbox::QueueArgs),
    /// Have a mail sent as soon as can be that was given up or dropped, or that waits
    Retry(outbox::Target),
    /// Give a mail up that waits
    Drop(outbox::Target),
}

/// Nothing is sent, and the store is not opened. The templates and the sender are the configuration's.
#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// Which one; a name that does not exist lists those that do
    name: String,
    /// The language that it is written in
    #[arg(long, value_enum, default_value_t = LanguageArg::En)]
    language: LanguageArg,
    #[command(flatten)]
    form: Form,
    /// Where to write it, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Form {
    /// Headers and plain text [default]
    #[arg(long)]
    text: bool,
    /// The HTML alone, with its pictures in it, for a browser
    #[arg(long)]
    html: bool,
    /// The message as it goes to the mail server, for a mail program
    #[arg(long)]
    eml: bool,
}

pub(super) async fn run(common: &Common, command: MailCommand) -> anyhow::Result<()> {
    let args = match command {
        MailCommand::Preview(args) => args,
        MailCommand::Queue(args) => {
            let session = Session::open(common).await?;
            return session.run(async |s| outbox::queue(s, args).await).await;
        }
        MailCommand::Retry(target) => {
            let session = Session::open(common).await?;
            return session.run(async |s| outbox::retry(s, target).await).await;
        }
        MailCommand::Drop(target) => {
            let session = Session::open(common).await?;
            return session.run(async |s| outbox::give_up(s, target).await).await;
        }
    };
    let config = load_config(common)?;
    let out = args.out.clone();
    let shown = tokio::task::spawn_blocking(move || preview(&config, &args)).await??;
    match out {
        Some(path) => tokio::fs::write(&path, shown)
            .await
            .map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display())),
        None => {
            let mut out = Output::new(false);
            out.bytes(&shown)?;
            out.finish()
        }
    }
}

fn preview(config: &Config, args: &PreviewArgs) -> anyhow::Result<Vec<u8>> {
    let language = Language::from(args.language);
    let Some(mut sample) = sample(&args.name, language) else {
        return Err(Usage(format!(
            "there is no message {:?}; did you mean {}?\nThe messages are {}",
            args.name,
            nearest_name(&args.name),
            NAMES.join(", ")
        ))
        .into());
    };
    let templates = Templates::load(config.mail.templates.as_deref())?;
    sample.mail.subject = templates.subject(&sample.mail.content, language)?;
    let rendered = templates.render(&sample.mail, sample.link.as_ref())?;
    if args.form.html {
        return Ok(with_pictures(&rendered).into_bytes());
    }
    let host = config.http.public_url.host_str().unwrap_or_default();
    let message = message(&sample.mail, &rendered, &config.mail, host)?.formatted();
    if args.form.eml {
        return Ok(message);
    }
    // The headers are ASCII; those that people read are shown as they read them.
    let headers = String::from_utf8_lossy(&message);
    let (headers, _) = headers.split_once("\r\n\r\n").unwrap_or_default();
    let mut shown = String::new();
    let mut skipping = false;
    for line in headers.lines() {
        if !line.starts_with([' ', '\t']) {
            let reader = &sample.mail.content.reader;
            let readable = match line.split_once(':').map(|(name, _)| name) {
                Some("Subject") => Some(format!("Subject: {}", rendered.subject)),
                Some("To") => Some(format!(
                    "To: {} {} <{}>",
                    reader.first_name,
                    reader.last_name,
                    sample.mail.to.as_str()
                )),
                Some("From") => Some(format!("From: {}", config.mail.from)),
                _ => None,
            };
            skipping = readable.is_some();
            if let Some(line) = readable {
                shown.push_str(&line);
                shown.push('\n');
            }
        }
        if !skipping {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    shown.push('\n');
    shown.push_str(&rendered.text);
    Ok(shown.into_bytes())
}

/// The HTML with the pictures that are sent along as part of it.
fn with_pictures(rendered: &Rendered) -> String {
    rendered.images.iter().fold(rendered.html.clone(), |html, image| {
        let data = format!(
            "data:{};base64,{}",
            image.media_type,
            BASE64_STANDARD.encode(&image.bytes)
        );
        html.replace(&format!("cid:{}", image.cid), &data)
    })
}
