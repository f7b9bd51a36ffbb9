//! What would happen at a sign-in, step by step: the same code, with no password and no bind as the person.

use std::time::Instant as Moment;

use super::error::DirectoryError;
use super::person::Person;
use super::search::{Found, Patience};
use super::template::Template;
use super::trail::{CheckOutcome, CheckStep, Trail};
use super::{Directory, LookUp};

/// What a directory has to do with a login.
#[derive(Debug)]
pub struct Explanation {
    /// The steps, in their order; those at servers that failed come before those at the next one.
    pub steps: Vec<CheckStep>,
    /// What they come to.
    pub found: LookUp,
}

impl Directory {
    /// Goes the way of a sign-in up to the bind as the person.
    pub async fn explain(&self, login: &str) -> Explanation {
        let trail = Trail::recording();
        let found = self.explain_along(login, &trail).await;
        Explanation {
            steps: trail.into_steps(),
            found,
        }
    }

    async fn explain_along(&self, login: &str, trail: &Trail) -> LookUp {
        let label = "".into();
        if let Some(template) = &self.template {
            let began = Moment::now();
            let Some(name) = template.render(login) else {
                trail.add(&label, "user_dn", CheckOutcome::Failed, began, || {
                    format!("no name can be made of {login:?}: @, \\ and control characters are refused there")
                });
                return LookUp::Absent;
            };
            trail.add(&label, "user_dn", CheckOutcome::Ok, began, || match template {
                Template::DistinguishedName(_) => format!("the bind would be as {name}"),
                Template::PrincipalName(_) => format!("the bind would be as the principal {name}"),
            });
        }
        if !self.can_look_up {
            trail.skip(
                &label,
                "search",
                "without bind_dn people are read with their own password only",
            );
            return LookUp::Unknown(DirectoryError::NoLookUp {
                directory: self.name.clone(),
            });
        }
        let found = self.at_servers(|server, deadline| async move {
            let label = &server.endpoint.label;
            let connection = server.open_service(deadline, trail).await?;
            let began = Moment::now();
            let kind = server.kind(&connection, deadline).await;
            let kind = kind.inspect_err(|error| trail.fail(label, "root entry", began, error))?;
            let from = (&connection, &kind);
            let found = self.finder.find(from, login, self.clock.now(), deadline, trail).await?;
            let found = match found {
                Found::One(person) => {
                    tell(&person, label, trail);
                    LookUp::Found(person)
                }
                Found::Several(_) => LookUp::Ambiguous,
                Found::Nobody => {
                    let began = Moment::now();
                    let bases = self.finder.bases().join("; ");
                    let read = self.finder.read_bases(&connection, Patience::Until(deadline)).await;
                    trail.take(label, "base", began, read, |()| format!("{bases} can be read"))?;
                    let began = Moment::now();
                    // Only a help: that it fails changes nothing.
                    if let Ok(Some(dn)) = self.finder.outside_of_filter(&connection, login, deadline).await {
                        // Whom the filter leaves out is nobody whom masters of an account may ask about.
                        trail.quote(label, "outside of the filter", CheckOutcome::Failed, began, || {
                            format!("{dn} has this login, but the filter does not find it")
                        });
                    }
                    LookUp::Absent
                }
            };
            connection.close(deadline).await;
            Ok(found)
        });
        found.await.unwrap_or_else(LookUp::Unknown)
    }
}

fn tell(person: &Person, label: &std::sync::Arc<str>, trail: &Trail) {
    let began = Moment::now();
    match &person.external_id {
        Some(id) => trail.add(label, "id", CheckOutcome::Ok, began, || id.clone()),
        None => trail.add(label, "id", CheckOutcome::Failed, began, || {
            "the entry shows none of attributes.id; name one that bind_dn may read".to_owned()
        }),
    }
    if person.is_disabled {
        trail.add(label, "status in the directory", CheckOutcome::Failed, began, || {
            "disabled, locked for good, or expired there".to_owned()
        });
    } else {
        trail.add(label, "status in the directory", CheckOutcome::Ok, began, || {
            "active".to_owned()
        });
    }
}
