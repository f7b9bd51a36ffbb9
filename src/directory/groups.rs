//! The groups that somebody is in: those that name them, and those that these are in.

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join_all;
use ldap3::{Scope, SearchEntry};

use super::connection::{Connection, Query};
use super::dn;
use super::error::{DirectoryError, Step, code};
use super::escape;
use super::kind::Kind;
use super::person::{MEMBER_OF, OBJECT_SID, PRIMARY_GROUP, escaped, first_value, texts};
use super::search::{NOTHING, Patience};
use crate::config::{DN, DirectoryConfig, GroupSource, LOGIN};

/// Active Directory's rule that follows memberships through any number of groups ([MS-ADTS], 3.1.1.3.4.4.3).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// Groups within groups are followed this deep; what is deeper is a mistake, and is said in the log.
const MAX_DEPTH: usize = 32;
/// The most groups of one person; beyond it is a mistake too.
const MAX_GROUPS: usize = 10_000;
/// Groups that are asked about with one filter.
const IN_ONE_FILTER: usize = 50;
/// Questions about groups that are asked at once over one connection.
const AT_ONCE: usize = 16;
/// The most values of one attribute that are asked for at a time: servers cut longer lists themselves, at 1,500 or 5,000
/// ([MS-ADTS], 3.1.1.3.1.3.3), and mark what they cut the same way.
const RANGE: usize = 1000;

/// Where groups are read.
#[derive(Debug)]
pub(super) struct GroupRules {
    search: Option<GroupSearch>,
    is_nested: bool,
}

#[derive(Debug)]
struct GroupSearch {
    bases: Vec<String>,
    filter: String,
}

impl GroupSearch {
    /// What finds the groups that have somebody, or a group, as a member.
    fn filter_for(&self, dn: &str, login: &str) -> String {
        // In one pass, so that no value is searched for placeholders.
        let dn = escape::filter_value(dn);
        let parts: Vec<_> = self.filter.split(LOGIN).map(|part| part.replace(DN, &dn)).collect();
        parts.join(&escape::filter_value(login))
    }
}

impl GroupRules {
    pub fn new(config: &DirectoryConfig) -> Self {
        let by_search = config.groups.from == GroupSource::Search;
        Self {
            search: by_search.then(|| GroupSearch {
                bases: config.groups.base.clone(),
                filter: config.groups.filter.clone(),
            }),
            is_nested: config.nested_groups,
        }
    }

    /// Whether the person's own entry is to be asked for them.
    pub fn reads_entry(&self) -> bool {
        self.search.is_none()
    }
}

/// What was read about groups, so that it is not asked again.
#[derive(Debug, Default)]
pub(super) struct KnownGroups {
    /// By canonical name: the groups that a group is in.
    parents: HashMap<String, Vec<String>>,
    /// By the security identifier of a primary group: its name.
    primary: HashMap<Vec<u8>, Option<String>>,
}

/// Reads the groups of one or of many, over one connection.
#[derive(Debug)]
pub(super) struct GroupReader<'a> {
    rules: &'a GroupRules,
    connection: &'a Connection,
    kind: &'a Kind,
    patience: Patience,
    /// Of many: what Active Directory follows for one, with one question, is followed here, with each group asked once.
    is_for_many: bool,
    known: &'a mut KnownGroups,
}

impl<'a> GroupReader<'a> {
    pub fn for_one(
        rules: &'a GroupRules,
        connection: &'a Connection,
        kind: &'a Kind,
        patience: Patience,
        known: &'a mut KnownGroups,
    ) -> Self {
        Self {
            rules,
            connection,
            kind,
            patience,
            is_for_many: false,
            known,
        }
    }

    pub fn for_many(
        rules: &'a GroupRules,
        connection: &'a Connection,
        kind: &'a Kind,
        patience: Patience,
        known: &'a mut KnownGroups,
    ) -> Self {
        Self {
            is_for_many: true,
            ..Self::for_one(rules, connection, kind, patience, known)
        }
    }

    /// All groups of the person with this entry, each once, in no order.
    pub async fn of(&mut self, entry: &SearchEntry, login: &str) -> Result<Vec<String>, DirectoryError> {
        let mut groups = Groups::default();
        let direct = match &self.rules.search {
            None => self.member_of(entry).await?,
            Some(search) => self.search(search, &entry.dn, login).await?,
        };
        groups.extend(direct);
        let primary = self.primary_group(entry).await?;
        groups.extend(primary.clone());
        if self.rules.is_nested {
            match self.domain_bases().filter(|_| !self.is_for_many) {
                Some(bases) => {
                    let of = [Some(entry.dn.clone()), primary];
                    groups.extend(self.in_chain(&bases, of.into_iter().flatten()).await?);
                }
                None => self.climb(&mut groups, &entry.dn).await?,
            }
        }
        Ok(groups.names)
    }

    /// Where Active Directory is asked for chains; none elsewhere.
    fn domain_bases(&self) -> Option<Vec<String>> {
        // A search of groups has rules of its own, which the chain would pass over.
        if !self.kind.is_active_directory || self.rules.search.is_some() {
            return None;
        }
        self.kind.domain.clone().map(|domain| vec![domain])
    }

    async fn in_chain(
        &self,
        bases: &[String],
        members: impl Iterator<Item = String>,
    ) -> Result<Vec<String>, DirectoryError> {
        let members: String = members
            .map(|dn| format!("(member:{IN_CHAIN}:={})", escape::filter_value(&dn)))
            .collect();
        self.find(bases, &format!("(|{members})")).await
    }

    /// Goes up from groups to the groups that they are in, level by level, and through no group twice.
    async fn climb(&mut self, groups: &mut Groups, person: &str) -> Result<(), DirectoryError> {
        let mut level = groups.names.clone();
        for _ in 0..MAX_DEPTH {
            let next = match self.rules.search.as_ref().filter(|_| !self.is_for_many) {
                Some(search) => self.above_all(search, &level).await?,
                None => self.above_each(&level).await?,
            };
            level = groups.extend(next);
            if level.is_empty() {
                return Ok(());
            }
            if groups.names.len() > MAX_GROUPS {
                break;
            }
        }
        tracing::warn!(
            server = %self.connection.server,
            person,
            groups = groups.names.len(),
            "groups are nested too deeply, or there are too many; what lies beyond is left out"
        );
        Ok(())
    }

    /// The groups that any of these is in, with as few questions as can be.
    async fn above_all(&self, search: &GroupSearch, level: &[String]) -> Result<Vec<String>, DirectoryError> {
        let mut above = Vec::new();
        for some in level.chunks(IN_ONE_FILTER) {
            let filters: String = some.iter().map(|group| search.filter_for(group, group)).collect();
            above.extend(self.find(&search.bases, &format!("(|{filters})")).await?);
        }
        Ok(above)
    }

    /// The same with one question a group, so that the answers serve for others who are in it.
    async fn above_each(&mut self, level: &[String]) -> Result<Vec<String>, DirectoryError> {
        let unknown: Vec<&String> = level
            .iter()
            .filter(|group| !self.known.parents.contains_key(&dn::canonical(group)))
            .collect();
        let mut found = Vec::new();
        for some in unknown.chunks(AT_ONCE) {
            let asked = some.iter().map(|group| self.ask_parents(group));
            let parents = try_join_all(asked).await?;
            found.extend(some.iter().map(|group| dn::canonical(group)).zip(parents));
        }
        self.known.parents.extend(found);
        let above = level
            .iter()
            .filter_map(|group| self.known.parents.get(&dn::canonical(group)));
        Ok(above.flatten().cloned().collect())
    }

    /// The groups that a group is in; none for one that is not there or must not be read.
    async fn ask_parents(&self, group: &str) -> Result<Vec<String>, DirectoryError> {
        match &self.rules.search {
            // No group has a login, and none is called by a group's name.
            Some(search) => self.search(search, group, group).await,
            None => match self.read(group, MEMBER_OF).await? {
                Some(entry) => self.member_of(&entry).await,
                None => Ok(Vec::new()),
            },
        }
    }

    async fn search(&self, search: &GroupSearch, dn: &str, login: &str) -> Result<Vec<String>, DirectoryError> {
        self.find(&search.bases, &search.filter_for(dn, login)).await
    }

    /// The names of the entries that a filter finds.
    async fn find(&self, bases: &[String], filter: &str) -> Result<Vec<String>, DirectoryError> {
        let mut found = Vec::new();
        for base in bases {
            let query = Query {
                step: Step::Groups,
                base: base.clone(),
                scope: Scope::Subtree,
                filter: filter.to_owned(),
                attributes: vec![NOTHING.to_owned()],
            };
            let entries = self.connection.search_all(query, self.patience.deadline()).await?;
            found.extend(entries.into_iter().map(|entry| entry.dn));
        }
        Ok(found)
    }

    /// All values of `memberOf`, also where the server gives them piece by piece.
    async fn member_of(&self, entry: &SearchEntry) -> Result<Vec<String>, DirectoryError> {
        let mut values = texts(entry, MEMBER_OF);
        let mut part = Range::of(entry, MEMBER_OF);
        while let Some(Range { values: more, next }) = part {
            let is_longer = !more.is_empty();
            values.extend(more);
            part = match next {
                Some(from) if is_longer && values.len() <= MAX_GROUPS => {
                    let attribute = format!("{MEMBER_OF};range={from}-{}", from + RANGE - 1);
                    let entry = self.read(&entry.dn, &attribute).await?;
                    entry.and_then(|entry| Range::of(&entry, MEMBER_OF))
                }
                _ => None,
            };
        }
        Ok(values)
    }

    /// One attribute of one entry; none when the entry is not there or must not be read.
    async fn read(&self, dn: &str, attribute: &str) -> Result<Option<SearchEntry>, DirectoryError> {
        let query = Query {
            step: Step::Groups,
            base: dn.to_owned(),
            scope: Scope::Base,
            filter: "(objectClass=*)".to_owned(),
            attributes: vec![attribute.to_owned()],
        };
        let (entries, result) = self.connection.search(query, 1, self.patience.deadline()).await?;
        match result.rc {
            code::SUCCESS => Ok(entries.into_iter().next()),
            code::NO_SUCH_OBJECT | code::INVALID_DN_SYNTAX | code::INSUFFICIENT_ACCESS_RIGHTS | code::REFERRAL => {
                Ok(None)
            }
            _ => Err(DirectoryError::answer(&self.connection.server, Step::Groups, &result)),
        }
    }

    /// The group that Active Directory counts everybody into without naming them in it: the person's domain's identifier
    /// with the group's number at its end ([MS-ADTS], 3.1.1.1.6).
    async fn primary_group(&mut self, entry: &SearchEntry) -> Result<Option<String>, DirectoryError> {
        let Some(domain) = self.kind.domain.clone().filter(|_| self.kind.is_active_directory) else {
            return Ok(None);
        };
        let number: Option<u32> = texts(entry, PRIMARY_GROUP).first().and_then(|n| n.parse().ok());
        let (Some(number), Some(mut sid)) = (number, first_value(entry, OBJECT_SID)) else {
            return Ok(None);
        };
        let Some(end) = sid.len().checked_sub(4) else {
            return Ok(None);
        };
        sid.truncate(end);
        sid.extend(number.to_le_bytes());
        if let Some(known) = self.known.primary.get(&sid) {
            return Ok(known.clone());
        }
        let filter = format!("({OBJECT_SID}={})", escaped(&sid));
        let found = self.find(&[domain], &filter).await?.into_iter().next();
        self.known.primary.insert(sid, found.clone());
        Ok(found)
    }
}

/// Names, each once in whatever spelling.
#[derive(Debug, Default)]
struct Groups {
    names: Vec<String>,
    seen: HashSet<String>,
}

impl Groups {
    /// Adds those that are new, and says which they are.
    fn extend(&mut self, names: impl IntoIterator<Item = String>) -> Vec<String> {
        let new: Vec<String> = names
            .into_iter()
            .filter(|name| self.seen.insert(dn::canonical(name)))
            .collect();
        self.names.extend(new.iter().cloned());
        new
    }
}

/// One piece of a long attribute (`memberOf;range=0-1499`).
#[derive(Debug, PartialEq, Eq)]
struct Range {
    values: Vec<String>,
    /// Where the next piece begins; none: this is the last.
    next: Option<usize>,
}

impl Range {
    fn of(entry: &SearchEntry, attribute: &str) -> Option<Self> {
        entry.attrs.iter().find_map(|(key, values)| {
            let (name, option) = key.split_once(';')?;
            let bounds = option.to_ascii_lowercase();
            let (_, last) = bounds.strip_prefix("range=")?.split_once('-')?;
            name.eq_ignore_ascii_case(attribute).then(|| Self {
                values: values.clone(),
                next: last.parse::<usize>().ok().and_then(|last| last.checked_add(1)),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, values: &[&str]) -> SearchEntry {
        SearchEntry {
            dn: "cn=x".to_owned(),
            attrs: [(key.to_owned(), values.iter().map(ToString::to_string).collect())].into(),
            bin_attrs: HashMap::new(),
        }
    }

    #[test]
    fn pieces_say_where_the_next_one_begins() {
        let range = |key| Range::of(&entry(key, &["cn=a"]), MEMBER_OF).map(|range| range.next);
        assert_eq!(range("memberOf;range=0-1499"), Some(Some(1500)));
        assert_eq!(range("MEMBEROF;Range=1500-*"), Some(None));
        assert_eq!(range("memberOf"), None);
        assert_eq!(range("member;range=0-1499"), None);
        assert_eq!(range("memberOf;lang-en"), None);
    }

    #[test]
    fn a_group_counts_once_in_whatever_spelling() {
        let mut groups = Groups::default();
        assert_eq!(groups.extend(["CN=A,DC=x".to_owned()]), ["CN=A,DC=x"]);
        assert!(groups.extend(["cn=a, dc=X".to_owned()]).is_empty());
        assert_eq!(groups.names, ["CN=A,DC=x"]);
    }
}
