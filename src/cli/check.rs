//! `doorward check`: tries every part of the configuration for real.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use clap::Args;
use serde::Serialize;
use tower::Service;

use crate::app;
use crate::cli::output::{Colour, Output};
use crate::cli::{Common, Format, session};
use crate::config::Config;
use crate::directory::CheckOutcome;
use crate::domain::clock::{Clock, SystemClock};
use crate::http::playground;
use crate::mail;

/// Tries the configuration: store, indexes, directories, mail templates and server, GeoIP file, certificate, pages.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    format: Format,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Outcome {
    Ok,
    Failed,
    Skipped,
}

/// One step.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    /// What of the configuration it is about.
    part: String,
    /// What was tried.
    name: String,
    outcome: Outcome,
    /// What was found, or what is wrong and what would be right.
    detail: String,
    /// `None` where several steps were timed as one.
    duration_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    ok: bool,
    steps: &'a [Step],
}

/// Writes each step as it is done; for scripts, all of them at the end.
struct Steps {
    out: Output,
    steps: Vec<Step>,
}

impl Steps {
    fn add(
        &mut self,
        part: &str,
        name: &str,
        outcome: Outcome,
        detail: &str,
        took: Option<Duration>,
    ) -> anyhow::Result<()> {
        let step = Step {
            part: part.to_owned(),
            name: name.to_owned(),
            outcome,
            detail: detail.to_owned(),
            duration_ms: took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
        };
        if !self.out.is_json() {
            let line = step.line(&self.out);
            self.out.line(&line)?;
            self.out.flush()?;
        }
        self.steps.push(step);
        Ok(())
    }

    /// A step that answers what was found, or what is wrong.
    fn add_result<E: std::fmt::Display>(
        &mut self,
        part: &str,
        name: &str,
        result: &Result<String, E>,
        took: Option<Duration>,
    ) -> anyhow::Result<()> {
        match result {
            Ok(found) => self.add(part, name, Outcome::Ok, found, took),
            Err(error) => self.add(part, name, Outcome::Failed, &error.to_string(), took),
        }
    }

    fn skip(&mut self, part: &str, name: &str, why: &str) -> anyhow::Result<()> {
        self.add(part, name, Outcome::Skipped, why, None)
    }

    fn holds(&self) -> bool {
        self.steps.iter().all(|step| step.outcome != Outcome::Failed)
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let failed = self.steps.iter().filter(|step| step.outcome == Outcome::Failed).count();
        if self.out.is_json() {
            let report = Report {
                ok: failed == 0,
                steps: &self.steps,
            };
            self.out.value(&report)?;
        }
        self.out.finish()?;
        match failed {
            0 => Ok(()),
            1 => bail!("one step of {} failed", self.steps.len()),
            _ => bail!("{failed} steps of {} failed", self.steps.len()),
        }
    }
}

impl Step {
    fn line(&self, out: &Output) -> String {
        let (word, colour) = match self.outcome {
            Outcome::Ok => ("ok     ", Colour::Green),
            Outcome::Failed => ("FAILED ", Colour::Red),
            Outcome::Skipped => ("skipped", Colour::Dim),
        };
        let took = self.duration_ms.map_or(String::new(), |ms| format!("{ms:.1} ms"));
        format!(
            "{}  {took:>10}  {}: {}: {}",
            out.paint(word, colour),
            self.part,
            self.name,
            self.detail
        )
    }
}

pub(super) async fn run(common: &Common, args: CheckArgs) -> anyhow::Result<()> {
    let mut steps = Steps {
        out: Output::new(args.format.json),
        steps: Vec::new(),
    };
    let began = Instant::now();
    let config = match session::load_config(common) {
        Ok(config) => config,
        Err(error) if steps.out.is_json() => {
            for line in error.to_string().lines() {
                steps.add("configuration", "read", Outcome::Failed, line, None)?;
            }
            steps.out.value(&Report {
                ok: false,
                steps: &steps.steps,
            })?;
            steps.out.finish()?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    steps.add(
        "configuration",
        "read",
        Outcome::Ok,
        "every key is known and in its range",
        Some(began.elapsed()),
    )?;
    for warning in config.warnings() {
        steps.add("configuration", "advice", Outcome::Ok, &warning, None)?;
    }
    store(&config, &mut steps).await?;
    directories(&config, &mut steps).await?;
    mail_templates(&config, &mut steps).await?;
    mail_server(&config, &mut steps).await?;
    geoip(&config, &mut steps).await?;
    https(&config, &mut steps).await?;
    pages(&mut steps).await?;
    if steps.holds() && !steps.out.is_json() {
        let line = steps.out.paint("everything holds", Colour::Bold);
        steps.out.line(&line)?;
    }
    steps.finish()
}

async fn store(config: &Config, steps: &mut Steps) -> anyhow::Result<()> {
    let began = Instant::now();
    match app::open_store(&config.store.url).await {
        Ok(store) => {
            steps.add(
                "store",
                "open",
                Outcome::Ok,
                &config.store.url.redacted(),
                Some(began.elapsed()),
            )?;
            for check in store.check().await {
                steps.add_result("store", &check.name, &check.outcome, None)?;
            }
            store.close().await;
            Ok(())
        }
        Err(error) => steps.add(
            "store",
            "open",
            Outcome::Failed,
            &error.to_string(),
            Some(began.elapsed()),
        ),
    }
}

async fn directories(config: &Config, steps: &mut Steps) -> anyhow::Result<()> {
    if config.directories.is_empty() {
        return steps.skip("directories", "connect", "the configuration has none");
    }
    let began = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let directories = match app::open_directories(config, &clock).await {
        Ok(directories) => directories,
        Err(error) => {
            return steps.add(
                "directories",
                "files",
                Outcome::Failed,
                &error.to_string(),
                Some(began.elapsed()),
            );
        }
    };
    for (name, directory) in directories {
        let part = format!("directory {name}");
        for step in directory.check().await {
            let outcome = match step.outcome {
                CheckOutcome::Ok => Outcome::Ok,
                CheckOutcome::Failed => Outcome::Failed,
                CheckOutcome::Skipped => Outcome::Skipped,
            };
            let name = format!("{} {}", step.server, step.name);
            steps.add(&part, &name, outcome, &step.detail, Some(step.duration))?;
        }
    }
    Ok(())
}

async fn mail_templates(config: &Config, steps: &mut Steps) -> anyhow::Result<()> {
    let began = Instant::now();
    let folder = config.mail.templates.clone();
    let loaded = tokio::task::spawn_blocking(move || mail::Templates::load(folder.as_deref())).await?;
    let result = loaded.map(|templates| match templates.own() {
        0 => "the built-in ones can be filled".to_owned(),
        1 => "1 of the folder's and the other built-in ones can be filled".to_owned(),
        own => format!("{own} of the folder's and the other built-in ones can be filled"),
    });
    steps.add_result("mail", "templates", &result, Some(began.elapsed()))
}

async fn mail_server(config: &Config, steps: &mut Steps) -> anyhow::Result<()> {
    let began = Instant::now();
    match mail::check(&config.mail).await.transpose() {
        None => steps.skip("mail", "connect", "mail.url is empty: mail is off"),
        Some(result) => steps.add_result("mail", "connect", &result, Some(began.elapsed())),
    }
}

async fn geoip(config: &Config, steps: &mut Steps) -> anyhow::Result<()> {
    let Some(path) = &config.geoip.database else {
        return steps.skip("geoip", "open", "geoip.database is empty: sign-ins have no place");
    };
    let began = Instant::now();
    let result = app::open_places(config).await.map(|_| path.display().to_string());
    steps.add_result("geoip", "open", &result, Some(began.elapsed()))
}

async fn https(config: &Config, steps: &mut Steps) -> anyhow::Result<()> {
    let Some((certificate, _)) = config.http.tls() else {
        return steps.skip("https", "certificate", "http.tls_certificate is empty: plain HTTP");
    };
    let began = Instant::now();
    let result = app::open_tls(config).await.map(|_| certificate.display().to_string());
    steps.add_result("https", "certificate", &result, Some(began.elapsed()))
}

async fn pages(steps: &mut Steps) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut router: Router = playground::router();
    let answer = router.call(Request::get("/graphiql").body(Body::empty())?).await?;
    let took = Some(began.elapsed());
    if answer.status() == StatusCode::OK {
        steps.add("pages", "/graphiql", Outcome::Ok, "embedded", took)
    } else if cfg!(feature = "pages") {
        let detail = format!(
            "answers {}; the binary was built wrongly, take another one",
            answer.status()
        );
        steps.add("pages", "/graphiql", Outcome::Failed, &detail, took)
    } else {
        steps.skip("pages", "/graphiql", "built without them (--no-default-features)")
    }
}
