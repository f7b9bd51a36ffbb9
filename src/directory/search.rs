//! Finding one person: exactly one entry, or it is nobody.

use std::collections::HashSet;

use ldap3::{Scope, SearchEntry};
use tokio::time::Instant;

use super::connection::{Connection, Query};
use super::error::{DirectoryError, Step, code};
use super::escape;
use super::person::{self, Person};
use crate::config::{AttributeConfig, DN, DirectoryConfig, GroupSource, LOGIN};

/// Two are enough to know that it is not one.
const LIMIT: i32 = 2;
/// No attributes (RFC 4511, 4.5.1.8).
const NOTHING: &str = "1.1";
const ANYTHING: &str = "(objectClass=*)";

/// How people and their groups are found.
#[derive(Debug)]
pub(super) struct Finder {
    bases: Vec<String>,
    filter: String,
    names: AttributeConfig,
    group_search: Option<GroupSearch>,
}

#[derive(Debug)]
struct GroupSearch {
    bases: Vec<String>,
    filter: String,
}

/// What a search for one person gave.
#[derive(Debug)]
pub(super) enum Found {
    One(Box<Person>),
    Nobody,
    /// Their DNs, as far as the limit let them come.
    Several(Vec<String>),
}

impl Finder {
    pub fn new(config: &DirectoryConfig) -> Self {
        let by_search = config.groups.from == GroupSource::Search;
        let group_search = by_search.then(|| GroupSearch {
            bases: config.groups.base.clone(),
            filter: config.groups.filter.clone(),
        });
        Self {
            bases: config.base.clone(),
            filter: config.filter.clone(),
            names: config.attributes.clone(),
            group_search,
        }
    }

    /// Looks in every base. Any result but success is an error: a missing base is not a missing person.
    pub async fn find(&self, connection: &Connection, login: &str, deadline: Instant) -> Result<Found, DirectoryError> {
        let filter = self.filter.replace(LOGIN, &escape::filter_value(login));
        let mut entries: Vec<SearchEntry> = Vec::new();
        for base in &self.bases {
            let query = Query {
                step: Step::Search,
                base: base.clone(),
                scope: Scope::Subtree,
                filter: filter.clone(),
                attributes: person::wanted(&self.names, self.group_search.is_none()),
            };
            let (found, result) = connection.search(query, LIMIT, deadline).await?;
            match result.rc {
                code::SUCCESS => {}
                // The limit may be the server's own: what came is then not all there is.
                code::SIZE_LIMIT_EXCEEDED if !found.is_empty() => return Ok(several(found)),
                _ => return Err(DirectoryError::answer(&connection.server, Step::Search, &result)),
            }
            // One base may lie inside another.
            for entry in found {
                if !entries.iter().any(|known| known.dn == entry.dn) {
                    entries.push(entry);
                }
            }
        }
        match entries.as_slice() {
            [] => Ok(Found::Nobody),
            [entry] => {
                let groups = self.groups(connection, &entry.dn, login, deadline).await?;
                Ok(Found::One(Box::new(person::from_entry(entry, &self.names, groups))))
            }
            _ => Ok(several(entries)),
        }
    }

    async fn groups(
        &self,
        connection: &Connection,
        dn: &str,
        login: &str,
        deadline: Instant,
    ) -> Result<Option<Vec<String>>, DirectoryError> {
        let Some(search) = &self.group_search else {
            return Ok(None);
        };
        // In one pass, so that no value is searched for placeholders.
        let dn = escape::filter_value(dn);
        let parts: Vec<_> = search.filter.split(LOGIN).map(|part| part.replace(DN, &dn)).collect();
        let filter = parts.join(&escape::filter_value(login));
        let (mut groups, mut seen) = (Vec::new(), HashSet::new());
        for base in &search.bases {
            let query = Query {
                step: Step::Groups,
                base: base.clone(),
                scope: Scope::Subtree,
                filter: filter.clone(),
                attributes: vec![NOTHING.to_owned()],
            };
            for group in connection.search_all(query, deadline).await? {
                if seen.insert(group.dn.clone()) {
                    groups.push(group.dn);
                }
            }
        }
        Ok(Some(groups))
    }

    /// Whether each base is there and can be read; only then does finding nobody mean that nobody is there.
    pub async fn read_bases(&self, connection: &Connection, deadline: Instant) -> Result<(), DirectoryError> {
        for base in &self.bases {
            if read(connection, base, deadline).await?.is_none() {
                return Err(DirectoryError::Answer {
                    server: connection.server.clone(),
                    step: Step::Base,
                    code: code::NO_SUCH_OBJECT,
                    text: format!("{base} cannot be read; bind_dn needs the right to read it"),
                });
            }
        }
        Ok(())
    }

    /// The bases, for reports.
    pub fn bases(&self) -> &[String] {
        &self.bases
    }
}

fn several(entries: Vec<SearchEntry>) -> Found {
    Found::Several(entries.into_iter().map(|entry| entry.dn).collect())
}

/// The DN of the entry of that name as the server itself writes it; none when the entry is not there or not visible.
pub(super) async fn read(
    connection: &Connection,
    dn: &str,
    deadline: Instant,
) -> Result<Option<String>, DirectoryError> {
    let query = Query {
        step: Step::Base,
        base: dn.to_owned(),
        scope: Scope::Base,
        filter: ANYTHING.to_owned(),
        attributes: vec![NOTHING.to_owned()],
    };
    let (entries, result) = connection.search(query, 1, deadline).await?;
    match result.rc {
        code::SUCCESS => Ok(entries.into_iter().next().map(|entry| entry.dn)),
        _ => Err(DirectoryError::answer(&connection.server, Step::Base, &result)),
    }
}
