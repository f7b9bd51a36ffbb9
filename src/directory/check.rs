//! Trying every server step by step, for a person who set it up.

use std::time::Instant as Moment;

use jiff::Timestamp;
use tokio::time::Instant;

use super::error::{DirectoryError, Step};
use super::search::{Finder, Found, Patience};
use super::server::Server;
use super::trail::{CheckStep, Trail};

/// A login that nobody has: searching for it shows that searching works.
const NOBODY: &str = "doorward-check-nobody";
/// The steps, in their order.
const STEPS: [&str; 5] = ["connect", "TLS", "service bind", "base", "search"];

/// Tries one server on a connection of its own; `can_search` is whether people can be read without their password.
pub(super) async fn server(server: &Server, finder: &Finder, can_search: bool) -> Vec<CheckStep> {
    let trail = Trail::recording();
    // What failed is written down there.
    let _ = try_steps(server, finder, can_search, server.deadline(), &trail).await;
    let label = &server.endpoint.label;
    let mut steps = trail.into_steps();
    let rest = Trail::recording();
    for name in STEPS
        .iter()
        .filter(|name| !steps.iter().any(|step| step.name == **name))
    {
        rest.skip(label, name, "a step before it failed");
    }
    steps.extend(rest.into_steps());
    steps
}

async fn try_steps(
    server: &Server,
    finder: &Finder,
    can_search: bool,
    deadline: Instant,
    trail: &Trail,
) -> Result<(), DirectoryError> {
    let label = &server.endpoint.label;
    let connection = server.open_service(deadline, trail).await?;
    if can_search {
        let began = Moment::now();
        let bases = finder.bases().join("; ");
        let read = finder.read_bases(&connection, Patience::Until(deadline)).await;
        trail.take(label, "base", began, read, |()| bases)?;

        let began = Moment::now();
        let silent = Trail::silent();
        let searched = async {
            let kind = server.kind(&connection, deadline).await?;
            let from = (&connection, &kind);
            match finder
                .find(from, NOBODY, Timestamp::UNIX_EPOCH, deadline, &silent)
                .await?
            {
                Found::Nobody => Ok(()),
                // Then the filter does not ask for the login.
                Found::One(_) | Found::Several(_) => Err(DirectoryError::Answer {
                    server: label.clone(),
                    step: Step::Search,
                    code: 0,
                    text: format!("the filter finds somebody for the login {NOBODY}; it must ask for {{login}}"),
                }),
            }
        };
        trail.take(label, "search", began, searched.await, |()| {
            "the filter finds nobody for a login that nobody has".to_owned()
        })?;
    } else {
        for name in ["base", "search"] {
            trail.skip(
                label,
                name,
                "without bind_dn only people themselves can be read, with their password",
            );
        }
    }
    connection.close(deadline).await;
    Ok(())
}
