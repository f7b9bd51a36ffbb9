//! Finding people: one by login, some by id, or everybody.

use std::time::{Duration, Instant as Moment};

use jiff::Timestamp;
use ldap3::{Scope, SearchEntry};
use tokio::time::Instant;

use super::connection::{Connection, Pages, Query};
use super::error::{DirectoryError, Step, code};
use super::escape;
use super::groups::{GroupReader, GroupRules, KnownGroups};
use super::kind::Kind;
use super::person::{self, Person};
use super::trail::{CheckOutcome, Trail};
use crate::config::{AttributeConfig, DirectoryConfig, LOGIN};

/// Two are enough to know that it is not one.
const LIMIT: i32 = 2;
/// No attributes (RFC 4511, 4.5.1.8).
pub(super) const NOTHING: &str = "1.1";
const PRINCIPAL_NAME: &str = "userPrincipalName";
const ACCOUNT_NAME: &str = "sAMAccountName";
const ANYTHING: &str = "(objectClass=*)";
/// People who are looked up with one question.
pub(super) const BATCH: usize = 50;

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// All of them have come by then: somebody is waiting to sign in.
    Until(Instant),
    /// Each takes no longer than this: work for many, in the background.
    Each(Duration),
}

impl Patience {
    pub fn deadline(self) -> Instant {
        match self {
            Self::Until(deadline) => deadline,
            Self::Each(time) => Instant::now() + time,
        }
    }
}

/// How people and their groups are found.
#[derive(Debug)]
pub(super) struct Finder {
    bases: Vec<String>,
    filter: String,
    names: AttributeConfig,
    groups: GroupRules,
}

/// What came of a search for one entry.
struct Hits {
    entries: Vec<SearchEntry>,
    /// There are more.
    is_cut: bool,
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
        Self {
            bases: config.base.clone(),
            filter: config.filter.clone(),
            names: config.attributes.clone(),
            groups: GroupRules::new(config),
        }
    }

    /// Looks in every base. Any result but success is an error: a missing base is not a missing person.
    pub async fn find(
        &self,
        (connection, kind): (&Connection, &Kind),
        login: &str,
        now: Timestamp,
        deadline: Instant,
        trail: &Trail,
    ) -> Result<Found, DirectoryError> {
        let server = &connection.server;
        let filter = self.filter.replace(LOGIN, &escape::filter_value(login));
        trail.add(server, "filter", CheckOutcome::Ok, Moment::now(), || {
            format!("{filter} under {}", self.bases.join("; "))
        });
        let began = Moment::now();
        let attributes = person::wanted(&self.names, kind, self.groups.reads_entry(), true);
        let searched = self.search(connection, &filter, attributes, deadline).await;
        if let Err(error) = &searched {
            trail.fail(server, "search", began, error);
        }
        let hits = searched?;
        match hits.entries.as_slice() {
            [] => {
                trail.add(server, "search", CheckOutcome::Failed, began, || {
                    "found nobody".to_owned()
                });
                Ok(Found::Nobody)
            }
            [entry] if !hits.is_cut => {
                trail.add(server, "search", CheckOutcome::Ok, began, || {
                    format!("found {}", entry.dn)
                });
                let mut person = person::from_entry(entry, &self.names, now);
                // The entry's own spelling, as everywhere else: groups that name logins are particular about it.
                let login = person.attributes.login.as_deref().unwrap_or(login);
                let began = Moment::now();
                let mut known = KnownGroups::default();
                let patience = Patience::Until(deadline);
                let mut groups = GroupReader::for_one(&self.groups, connection, kind, patience, &mut known);
                let read = groups.of(entry, login).await;
                let read = trail.take(server, "groups", began, read, |groups| counted(groups));
                person.groups = read?;
                Ok(Found::One(Box::new(person)))
            }
            several => {
                let names: Vec<String> = several.iter().map(|entry| entry.dn.clone()).collect();
                trail.add(server, "search", CheckOutcome::Failed, began, || {
                    format!(
                        "found more than one entry: {}; make the filter narrower",
                        names.join("; ")
                    )
                });
                Ok(Found::Several(names))
            }
        }
    }

    /// At most [`LIMIT`] entries a base.
    async fn search(
        &self,
        connection: &Connection,
        filter: &str,
        attributes: Vec<String>,
        deadline: Instant,
    ) -> Result<Hits, DirectoryError> {
        let mut entries: Vec<SearchEntry> = Vec::new();
        for base in &self.bases {
            let query = Query {
                step: Step::Search,
                base: base.clone(),
                scope: Scope::Subtree,
                filter: filter.to_owned(),
                attributes: attributes.clone(),
            };
            let (found, result) = connection.search(query, LIMIT, deadline).await?;
            match result.rc {
                code::SUCCESS => {}
                // The limit may be the server's own: what came is then not all there is.
                code::SIZE_LIMIT_EXCEEDED if !found.is_empty() => {
                    return Ok(Hits {
                        entries: found,
                        is_cut: true,
                    });
                }
                _ => return Err(DirectoryError::answer(&connection.server, Step::Search, &result)),
            }
            // One base may lie inside another.
            for entry in found {
                if !entries.iter().any(|known| known.dn == entry.dn) {
                    entries.push(entry);
                }
            }
        }
        Ok(Hits { entries, is_cut: false })
    }

    /// Those of these ids whom the filter still finds, whatever they are called by now. Who is not among them is absent: the
    /// bases were all read.
    pub async fn by_ids(
        &self,
        (connection, kind): (&Connection, &Kind),
        ids: &[String],
        now: Timestamp,
        patience: Patience,
    ) -> Result<Vec<Person>, DirectoryError> {
        let mut known = KnownGroups::default();
        let mut groups = GroupReader::for_many(&self.groups, connection, kind, patience, &mut known);
        let mut people = Vec::with_capacity(ids.len());
        for some in ids.chunks(BATCH) {
            let wanted: String = some.iter().map(|id| person::id_filter(&self.names, id)).collect();
            let filter = format!("(&(|{wanted}){})", self.everybody());
            for base in &self.bases {
                let query = self.query(base, &filter, kind);
                for entry in connection.search_all(query, patience.deadline()).await? {
                    people.push(self.read(&entry, &mut groups, now).await?);
                }
            }
        }
        let people = distinct(people);
        if people.len() < ids.len() {
            self.read_bases(connection, patience).await?;
        }
        Ok(people)
    }

    /// Everybody whom the filter finds, in parts, in no order.
    /// The groups are asked for over a connection of their own, as paging needs the other for itself.
    pub fn everyone(&self, [connection, for_groups]: [Connection; 2], kind: Kind, patience: Patience) -> Reading<'_> {
        Reading {
            finder: self,
            connection,
            for_groups,
            kind,
            patience,
            bases: self.bases.iter(),
            pages: None,
            known: KnownGroups::default(),
        }
    }

    fn query(&self, base: &str, filter: &str, kind: &Kind) -> Query {
        Query {
            step: Step::Search,
            base: base.to_owned(),
            scope: Scope::Subtree,
            filter: filter.to_owned(),
            // Pictures are read at sign-ins: those of everybody would fill the memory.
            attributes: person::wanted(&self.names, kind, self.groups.reads_entry(), false),
        }
    }

    async fn read(
        &self,
        entry: &SearchEntry,
        groups: &mut GroupReader<'_>,
        now: Timestamp,
    ) -> Result<Person, DirectoryError> {
        let mut person = person::from_entry(entry, &self.names, now);
        let login = person.attributes.login.clone().unwrap_or_default();
        person.groups = groups.of(entry, &login).await?;
        Ok(person)
    }

    /// The filter with any login at all (RFC 4515: presence, or a substring where more stands beside it).
    fn everybody(&self) -> String {
        self.filter.replace(LOGIN, "*")
    }

    /// Whether each base is there and can be read; only then does finding nobody mean that nobody is there.
    pub async fn read_bases(&self, connection: &Connection, patience: Patience) -> Result<(), DirectoryError> {
        for base in &self.bases {
            if read(connection, base, patience.deadline()).await?.is_none() {
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

    /// Does a bind by this principal name prove who that entry is? A name that an entry carries is that entry's and nobody
    /// else's; `login@domain` and `DOMAIN\\login` are also the entry's of that sAMAccountName, unless another carries the name.
    pub async fn is_principal(
        &self,
        (connection, kind): (&Connection, &Kind),
        dn: &str,
        name: &str,
        login: &str,
        deadline: Instant,
    ) -> Result<bool, DirectoryError> {
        let carries = format!("({PRINCIPAL_NAME}={})", escape::filter_value(name));
        let everywhere = kind.domain.as_ref().map_or(self.bases.as_slice(), std::slice::from_ref);
        for base in everywhere {
            let found = self
                .names_of(connection, base, Scope::Subtree, &carries, deadline)
                .await?;
            if let Some(found) = found.first() {
                return Ok(found == dn);
            }
        }
        let is_called = format!("({ACCOUNT_NAME}={})", escape::filter_value(login));
        let found = self.names_of(connection, dn, Scope::Base, &is_called, deadline).await?;
        Ok(!found.is_empty())
    }

    /// The names of at most [`LIMIT`] entries that a filter finds.
    async fn names_of(
        &self,
        connection: &Connection,
        base: &str,
        scope: Scope,
        filter: &str,
        deadline: Instant,
    ) -> Result<Vec<String>, DirectoryError> {
        let query = Query {
            step: Step::Search,
            base: base.to_owned(),
            scope,
            filter: filter.to_owned(),
            attributes: vec![NOTHING.to_owned()],
        };
        let (entries, result) = connection.search(query, LIMIT, deadline).await?;
        match result.rc {
            code::SUCCESS => Ok(entries.into_iter().map(|entry| entry.dn).collect()),
            _ => Err(DirectoryError::answer(&connection.server, Step::Search, &result)),
        }
    }

    /// The entry that has this login by one of the configured attributes, whether the filter finds it or not: to tell
    /// somebody why it does not.
    pub async fn outside_of_filter(
        &self,
        connection: &Connection,
        login: &str,
        deadline: Instant,
    ) -> Result<Option<String>, DirectoryError> {
        let value = escape::filter_value(login);
        let names: String = self
            .names
            .login
            .iter()
            .map(|name| format!("({name}={value})"))
            .collect();
        let found = self
            .search(connection, &format!("(|{names})"), vec![NOTHING.to_owned()], deadline)
            .await?;
        Ok(found.entries.into_iter().next().map(|entry| entry.dn))
    }

    /// The bases, for reports.
    pub fn bases(&self) -> &[String] {
        &self.bases
    }
}

/// Everybody, as they are read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    finder: &'a Finder,
    connection: Connection,
    for_groups: Connection,
    kind: Kind,
    patience: Patience,
    bases: std::slice::Iter<'a, String>,
    pages: Option<Pages>,
    known: KnownGroups,
}

impl Reading<'_> {
    /// The next part; `None` at the end.
    pub async fn next(&mut self, now: Timestamp) -> Result<Option<Vec<Person>>, DirectoryError> {
        loop {
            let pages = match &mut self.pages {
                Some(pages) => pages,
                None => match self.bases.next() {
                    Some(base) => {
                        let everybody = self.finder.query(base, &self.finder.everybody(), &self.kind);
                        self.pages.insert(self.connection.pages(everybody))
                    }
                    None => {
                        self.finder.read_bases(&self.connection, self.patience).await?;
                        return Ok(None);
                    }
                },
            };
            let Some(entries) = pages.next(self.patience.deadline()).await? else {
                self.pages = None;
                continue;
            };
            let (rules, known) = (&self.finder.groups, &mut self.known);
            let mut groups = GroupReader::for_many(rules, &self.for_groups, &self.kind, self.patience, known);
            let mut people = Vec::with_capacity(entries.len());
            for entry in &entries {
                people.push(self.finder.read(entry, &mut groups, now).await?);
            }
            return Ok(Some(distinct(people)));
        }
    }
}

/// One base may lie inside another.
fn distinct(mut people: Vec<Person>) -> Vec<Person> {
    let mut seen = std::collections::HashSet::new();
    people.retain(|person| seen.insert(person.dn.clone()));
    people
}

fn counted(groups: &[String]) -> String {
    match groups {
        [] => "in no group".to_owned(),
        [one] => format!("in one group: {one}"),
        many => format!("in {} groups: {}", many.len(), many.join("; ")),
    }
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
