//! Trying every server step by step, for a person who set it up.

use std::time::{Duration, Instant as Moment};

use tokio::time::Instant;

use super::error::{DirectoryError, Step};
use super::search::{Finder, Found};
use super::server::Server;

/// A login that nobody has: searching for it shows that searching works.
const NOBODY: &str = "doorward-check-nobody";

/// One step at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckStep {
    /// The server's URL.
    pub server: String,
    /// `connect`, `TLS`, `service bind`, `base` or `search`.
    pub name: &'static str,
    /// How it went.
    pub outcome: CheckOutcome,
    /// What was done, or what is wrong and what would be right.
    pub detail: String,
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

struct Report<'a> {
    server: &'a Server,
    steps: Vec<CheckStep>,
}

impl Report<'_> {
    fn add(&mut self, name: &'static str, outcome: CheckOutcome, detail: String, began: Moment) {
        let server = self.server.endpoint.label.to_string();
        self.steps.push(CheckStep {
            server,
            name,
            outcome,
            detail,
            duration: began.elapsed(),
        });
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        detail: &str,
        began: Moment,
        tried: Result<T, DirectoryError>,
    ) -> Option<T> {
        match tried {
            Ok(value) => {
                self.add(name, CheckOutcome::Ok, detail.to_owned(), began);
                Some(value)
            }
            Err(error) => {
                self.add(name, CheckOutcome::Failed, error.to_string(), began);
                None
            }
        }
    }

    fn skip(&mut self, names: &[&'static str], why: &str) {
        for name in names {
            self.add(name, CheckOutcome::Skipped, why.to_owned(), Moment::now());
        }
    }
}

/// Tries one server on a connection of its own; `can_search` is whether people can be read without their password.
pub(super) async fn server(server: &Server, finder: &Finder, can_search: bool) -> Vec<CheckStep> {
    let mut report = Report {
        server,
        steps: Vec::new(),
    };
    try_steps(&mut report, finder, can_search, server.deadline()).await;
    let tried: Vec<_> = report.steps.iter().map(|step| step.name).collect();
    let rest: Vec<_> = ["connect", "TLS", "service bind", "base", "search"]
        .into_iter()
        .filter(|name| !tried.contains(name))
        .collect();
    report.skip(&rest, "a step before it failed");
    report.steps
}

async fn try_steps(report: &mut Report<'_>, finder: &Finder, can_search: bool, deadline: Instant) -> Option<()> {
    let server = report.server;
    let endpoint = &server.endpoint;

    let began = Moment::now();
    let stream = report.take(
        "connect",
        "TCP connection made",
        began,
        endpoint.connect(deadline).await,
    )?;

    let began = Moment::now();
    let secured = endpoint.secure(stream, deadline).await;
    let connection = if endpoint.tls.is_some() {
        report.take("TLS", "certificate trusted", began, secured)?
    } else {
        report.skip(&["TLS"], "allow_plaintext: passwords cross the network in clear");
        secured.ok()?
    };

    let began = Moment::now();
    if server.has_account() {
        let bound = server.try_service_account(&connection, deadline).await;
        report.take("service bind", "bound as bind_dn", began, bound)?;
    } else {
        report.take(
            "service bind",
            "anonymous: no bind_dn is given",
            began,
            connection.probe(deadline).await,
        )?;
    }

    if !can_search {
        report.skip(
            &["base", "search"],
            "without bind_dn only people themselves can be read, with their password",
        );
        connection.close(deadline).await;
        return Some(());
    }

    let began = Moment::now();
    let bases = finder.bases().join("; ");
    report.take("base", &bases, began, finder.read_bases(&connection, deadline).await)?;

    let began = Moment::now();
    let searched = match finder.find(&connection, NOBODY, deadline).await {
        Ok(Found::Nobody) => Ok(()),
        // Then the filter does not ask for the login.
        Ok(Found::One(_) | Found::Several(_)) => Err(DirectoryError::Answer {
            server: endpoint.label.clone(),
            step: Step::Search,
            code: 0,
            text: format!("the filter finds somebody for the login {NOBODY}; it must ask for {{login}}"),
        }),
        Err(error) => Err(error),
    };
    report.take(
        "search",
        "the filter finds nobody for a login that nobody has",
        began,
        searched,
    )?;
    connection.close(deadline).await;
    Some(())
}
