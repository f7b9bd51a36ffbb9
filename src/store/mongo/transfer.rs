//! Everything that is kept, record by record.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{ClientSession, Collection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::avatar::AvatarDocument;
use super::documents::{
    AccessLinkDocument, AccountDocument, AuditDocument, Digest, EventDocument, GroupDocument, Id, MailDocument,
    MarkDocument, PasswordDocument, RoleDocument, SessionDocument, TokenDocument, UserDocument, array,
};
use super::keyset::NEWEST_FIRST;
use super::lists::{Filter, stored};
use super::login::{carried, carry, later_login};
use super::transaction::{Halt, INTENT_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::{Credentials, TokenHash};
use crate::domain::grant::{GrantSource, GrantTarget};
use crate::domain::ids::{AccountId, GroupId, RoleId, UserId};
use crate::domain::login::Login;
use crate::domain::login_event::{LoginEvent, LoginOutcome};
use crate::domain::mail::ReportKind;
use crate::domain::page::{Page, PageRequest};
use crate::domain::user::User;
use crate::store::history::RECENT;
use crate::store::transfer::{
    FiledReports, Kind, Record, StoredSession, StoredToken, StoredUser, TransferStore, link_hashes,
};
use crate::store::{ReportMark, Result, StoreError};

/// The server's code for a second entry under a unique key.
const DUPLICATE_KEY: i32 = 11_000;

/// Records as the documents of their collections.
#[derive(Default)]
struct Documents {
    accounts: Vec<AccountDocument>,
    roles: Vec<RoleDocument>,
    groups: Vec<GroupDocument>,
    users: Vec<UserDocument>,
    avatars: Vec<AvatarDocument>,
    sessions: Vec<SessionDocument>,
    tokens: Vec<TokenDocument>,
    events: Vec<EventDocument>,
    entries: Vec<AuditDocument>,
    mails: Vec<MailDocument>,
    links: Vec<AccessLinkDocument>,
    /// The accounts whose reports were filed, and which.
    filed: Vec<Id>,
    marks: Vec<MarkDocument>,
}

impl Documents {
    fn of(records: &[Record]) -> Self {
        let mut documents = Self::default();
        for record in records {
            match record {
                Record::Account(account) => documents.accounts.push(account.into()),
                Record::Role(role) => documents.roles.push(role.into()),
                Record::Group(group) => documents.groups.push(group.into()),
                Record::User(stored) => documents.users.push(user_document(&stored.user, &stored.credentials)),
                Record::Avatar(avatar) => documents.avatars.push(avatar.into()),
                Record::Session(stored) => documents
                    .sessions
                    .push(SessionDocument::new(&stored.session, &stored.token_hash)),
                Record::ApiToken(stored) => documents
                    .tokens
                    .push(TokenDocument::new(&stored.token, &stored.token_hash)),
                Record::LoginEvent(event) => documents.events.push(event.as_ref().into()),
                Record::AuditEntry(entry) => documents.entries.push(entry.as_ref().into()),
                Record::Mail(stored) => documents.mails.push(stored.as_ref().into()),
                Record::Link(link) => documents.links.push(link.into()),
                Record::Reports(reports) => {
                    documents.filed.push(reports.account.into());
                    documents.marks.extend(reports.marks().map(MarkDocument::from));
                }
            }
        }
        documents
    }
}

fn user_document(user: &User, credentials: &Credentials) -> UserDocument {
    let mut document = UserDocument::from(user);
    let any = credentials.hash.is_some() || !credentials.history.is_empty();
    document.password = any.then(|| PasswordDocument::from(credentials));
    document
}

fn stored_user(mut document: UserDocument) -> StoredUser {
    let credentials = document.password.take().unwrap_or_default().into();
    StoredUser {
        user: document.into(),
        credentials,
    }
}

fn stored_session(document: SessionDocument) -> StoredSession {
    StoredSession {
        token_hash: document.token_hash(),
        session: document.into(),
    }
}

fn stored_token(document: TokenDocument) -> StoredToken {
    StoredToken {
        token_hash: TokenHash(document.token_hash.0),
        token: document.into(),
    }
}

/// Which of the documents of an unordered insertion were there already; `None` when it failed for another reason.
fn there_already(error: &Error) -> Option<Vec<usize>> {
    let ErrorKind::InsertMany(failed) = error.kind.as_ref() else {
        return None;
    };
    let same_id = |message: &str| message.contains(" index: _id_ ");
    let errors = failed.write_errors.as_ref()?;
    let all = errors.iter().all(|e| e.code == DUPLICATE_KEY && same_id(&e.message));
    (all && failed.write_concern_error.is_none()).then(|| errors.iter().map(|e| e.index).collect())
}

impl MongoStore {
    async fn after<D, R>(
        &self,
        collection: &Collection<D>,
        after: Option<Uuid>,
        limit: usize,
        record: impl Fn(D) -> R,
    ) -> Result<Vec<R>>
    where
        D: DeserializeOwned + Send + Sync + Unpin,
    {
        self.behind(collection, "_id", after.map(|id| Id::from(id).into()), limit, record)
            .await
    }

    /// The next documents in ascending order of a field, of those behind a value.
    async fn behind<D, R>(
        &self,
        collection: &Collection<D>,
        field: &str,
        after: Option<Bson>,
        limit: usize,
        record: impl Fn(D) -> R,
    ) -> Result<Vec<R>>
    where
        D: DeserializeOwned + Send + Sync + Unpin,
    {
        let behind = after.map_or_else(Document::new, |value| doc! { field: { "$gt": value } });
        round_trip("find");
        let finding = collection
            .find(behind)
            .sort(doc! { field: 1 })
            .limit(stored(limit))
            .projection(doc! { "recent": 0, "serial": 0 })
            .max_time(INTENT_LIMIT);
        let found: Vec<D> = bounded(INTENT_LIMIT, async { Ok(finding.await?.try_collect().await?) }).await?;
        Ok(found.into_iter().map(record).collect())
    }

    /// Writes documents as they are, in place of those with the same identifiers.
    async fn replace_all<D, I>(&self, collection: &Collection<D>, documents: &[D], id: fn(&D) -> I) -> Result<()>
    where
        D: Serialize + Send + Sync,
        I: Into<Bson>,
    {
        if documents.is_empty() {
            return Ok(());
        }
        round_trip("insert");
        let inserting = collection.insert_many(documents).ordered(false);
        let there = bounded(INTENT_LIMIT, async {
            match inserting.await {
                Ok(_) => Ok(Vec::new()),
                Err(error) => there_already(&error).ok_or_else(|| error.into()),
            }
        })
        .await?;
        let again: Vec<&D> = there.iter().filter_map(|index| documents.get(*index)).collect();
        if again.is_empty() {
            return Ok(());
        }
        let ids: Vec<Bson> = again.iter().map(|document| id(document).into()).collect();
        self.remove_all(collection, doc! { "_id": { "$in": ids } }).await?;
        round_trip("insert");
        let inserting = collection.insert_many(again).ordered(false);
        bounded(INTENT_LIMIT, async { Ok(inserting.await.map(drop)?) }).await
    }

    async fn remove_all<D: Send + Sync>(&self, collection: &Collection<D>, filter: Document) -> Result<()> {
        round_trip("delete");
        let deleting = collection.delete_many(filter);
        bounded(INTENT_LIMIT, async { Ok(deleting.await.map(drop)?) }).await
    }

    /// Adds documents as a part of a transaction.
    async fn add_all<D: Serialize + Send + Sync>(
        session: &mut ClientSession,
        collection: &Collection<D>,
        documents: &[D],
    ) -> std::result::Result<(), Halt> {
        if !documents.is_empty() {
            round_trip("insert");
            collection.insert_many(documents).session(session).await?;
        }
        Ok(())
    }

    /// The users among the records without what is gone by now, as a part of a transaction.
    async fn grants_of_all_that_hold(
        &self,
        session: &mut ClientSession,
        records: &[Record],
    ) -> std::result::Result<Vec<Record>, Halt> {
        let mut granted: BTreeMap<AccountId, (Vec<RoleId>, Vec<GroupId>)> = BTreeMap::new();
        for record in records {
            let Record::User(stored) = record else { continue };
            let (roles, groups) = granted.entry(stored.user.account).or_default();
            for grant in &stored.user.grants {
                match grant.target {
                    GrantTarget::Role(id) => roles.push(id),
                    // What everybody falls back to is never deleted.
                    GrantTarget::Group(id) if grant.source != GrantSource::Default => groups.push(id),
                    GrantTarget::Group(_) | GrantTarget::Master => {}
                }
            }
        }
        let mut gone: Vec<GrantTarget> = Vec::new();
        let mut main_groups: HashMap<AccountId, GroupId> = HashMap::new();
        for (account, (mut roles, mut groups)) in granted {
            roles.sort_unstable();
            roles.dedup();
            groups.sort_unstable();
            groups.dedup();
            let roles = self.gone(session, &self.roles, account, &roles).await?;
            let groups = self.gone(session, &self.groups, account, &groups).await?;
            if roles.is_empty() && groups.is_empty() {
                continue;
            }
            gone.extend(roles.into_iter().map(GrantTarget::Role));
            gone.extend(groups.into_iter().map(GrantTarget::Group));
            round_trip("find");
            let main = self
                .groups
                .find_one(doc! { "account": Id::from(account), "is_main": true })
                .session(&mut *session)
                .await?;
            main_groups.extend(main.map(|main| (account, main.id.into())));
        }
        let users = records.iter().filter(|record| matches!(record, Record::User(_)));
        let mut records: Vec<Record> = users.cloned().collect();
        if !gone.is_empty() {
            for record in &mut records {
                let Record::User(held) = record else { continue };
                let (main, at) = (main_groups.get(&held.user.account).copied(), held.user.updated_at);
                held.user.keep_grants(|grant| !gone.contains(&grant.target), main, at);
            }
        }
        Ok(records)
    }

    /// The newest sign-ins of each user, and the newest success of those who have none among them.
    async fn newest_of(&self, users: &[UserId]) -> Result<HashMap<UserId, (Vec<LoginEvent>, Option<LoginEvent>)>> {
        let newest = self.newest(users, RECENT, Timestamp::MIN).await?;
        let success = |events: &[LoginEvent]| events.iter().find(|e| e.outcome == LoginOutcome::Success).cloned();
        let mut found: HashMap<UserId, _> = newest
            .into_iter()
            .map(|(user, events)| {
                let last = success(&events);
                (user, (events, last))
            })
            .collect();
        let without: Vec<UserId> = found
            .iter()
            .filter(|(_, (events, last))| last.is_none() && events.len() == RECENT)
            .map(|(user, _)| *user)
            .collect();
        let filters: Vec<Filter> = without
            .iter()
            .map(|user| Filter::default().and(Some(doc! { "user": Id::from(*user), "outcome": "SUCCESS" })))
            .collect();
        let pages: Vec<Page<LoginEvent>> = self
            .pages(&self.login_events, &[], NEWEST_FIRST, &filters, &PageRequest::first(1))
            .await?;
        for (user, mut page) in without.into_iter().zip(pages) {
            if let Some((_, last)) = found.get_mut(&user) {
                *last = page.items.pop();
            }
        }
        Ok(found)
    }
}

/// A sign-in is recorded this soon after it was tried: requests end much sooner, and clocks differ by less.
const RECORDED_WITHIN: Duration = Duration::from_secs(300);

/// What users carry besides those of the history: what was recorded while it was read. Older ones were removed from it.
fn carried_besides(history: &[Id]) -> Document {
    let within = i64::try_from(RECORDED_WITHIN.as_millis()).unwrap_or(i64::MAX);
    doc! { "$filter": {
        "input": carried(),
        "cond": { "$and": [
            { "$not": { "$in": ["$$this._id", array(history)] } },
            { "$gt": ["$$this.at", { "$subtract": ["$$NOW", within] }] },
        ] },
    } }
}

/// A user's update that carries these sign-ins, the newest first, and knows the last success.
fn carrying(user: UserId, events: &[LoginEvent], last: Option<&LoginEvent>) -> Result<Document> {
    let ids: Vec<Id> = events.iter().map(|event| event.id.into()).collect();
    let mut fields = doc! { "recent": carry(events, carried_besides(&ids))? };
    if let Some(event) = last {
        fields.insert("last_login", later_login(event)?);
    }
    let account = events.first().map(|event| Id::from(event.account));
    let mut query = doc! { "_id": Id::from(user) };
    if let Some(account) = account {
        query.insert("account", account);
    }
    Ok(doc! { "q": query, "u": [{ "$set": fields }] })
}

/// The update of users of whom the history has nothing.
fn carrying_nothing(users: &[UserId]) -> Document {
    let carry_any = doc! { "_id": { "$in": array(users) }, "recent.0": { "$exists": true } };
    doc! { "q": carry_any, "u": [{ "$set": { "recent": carried_besides(&[]) } }], "multi": true }
}

/// What an `update` command that the driver does not read itself came to.
fn told(answer: &Document) -> Result<()> {
    for field in ["writeErrors", "writeConcernError"] {
        if answer.contains_key(field) {
            return Err(StoreError::Unavailable(format!("an update was answered with {field}")));
        }
    }
    Ok(())
}

#[async_trait]
impl TransferStore for MongoStore {
    async fn scan(&self, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Vec<Record>> {
        match kind {
            Kind::Accounts => {
                self.after(&self.accounts, after, limit, |d| Record::Account(d.into()))
                    .await
            }
            Kind::Roles => self.after(&self.roles, after, limit, |d| Record::Role(d.into())).await,
            Kind::Groups => {
                self.after(&self.groups, after, limit, |d| Record::Group(d.into()))
                    .await
            }
            Kind::Users => {
                self.after(&self.users, after, limit, |d| Record::User(Box::new(stored_user(d))))
                    .await
            }
            Kind::Avatars => {
                self.after(&self.avatars, after, limit, |d| Record::Avatar(d.into()))
                    .await
            }
            Kind::Sessions => {
                self.after(&self.sessions, after, limit, |d| {
                    Record::Session(Box::new(stored_session(d)))
                })
                .await
            }
            Kind::ApiTokens => {
                self.after(&self.api_tokens, after, limit, |d| Record::ApiToken(stored_token(d)))
                    .await
            }
            Kind::LoginEvents => {
                self.after(&self.login_events, after, limit, |d| {
                    Record::LoginEvent(Box::new(d.into()))
                })
                .await
            }
            Kind::AuditEntries => {
                self.after(&self.audit, after, limit, |d| Record::AuditEntry(Box::new(d.into())))
                    .await
            }
            Kind::Mails => {
                self.after(&self.mails, after, limit, |d| Record::Mail(Box::new(d.into())))
                    .await
            }
            Kind::Links => {
                let after = after.map(|id| Digest(link_hashes(id)[1]).into());
                self.behind(&self.links, "_id", after, limit, |d| Record::Link(d.into()))
                    .await
            }
            Kind::Reports => {
                let (after, most) = (after.map(|id| Id::from(id).into()), limit * ReportKind::ALL.len());
                let marks = self
                    .behind(&self.report_marks, "account", after, most, ReportMark::from)
                    .await?;
                Ok(FiledReports::of_marks(marks, limit)
                    .into_iter()
                    .map(Record::Reports)
                    .collect())
            }
        }
    }

    async fn put(&self, records: &[Record]) -> Result<()> {
        let _change = self.changes.begin();
        let documents = Documents::of(records);
        self.replace_all(&self.accounts, &documents.accounts, |d| d.id).await?;
        self.replace_all(&self.roles, &documents.roles, |d| d.id).await?;
        self.replace_all(&self.groups, &documents.groups, |d| d.id).await?;
        self.replace_all(&self.users, &documents.users, |d| d.id).await?;
        self.replace_all(&self.avatars, &documents.avatars, |d| d.id).await?;
        self.replace_all(&self.sessions, &documents.sessions, |d| d.id).await?;
        self.replace_all(&self.api_tokens, &documents.tokens, |d| d.id).await?;
        self.replace_all(&self.login_events, &documents.events, |d| d.id)
            .await?;
        self.replace_all(&self.audit, &documents.entries, |d| d.id).await?;
        self.replace_all(&self.mails, &documents.mails, |d| d.id).await?;
        self.replace_all(&self.links, &documents.links, |d| d.hash).await?;
        if documents.marks.is_empty() {
            return Ok(());
        }
        self.remove_all(
            &self.report_marks,
            doc! { "account": { "$in": array(&documents.filed) } },
        )
        .await?;
        round_trip("insert");
        let inserting = self.report_marks.insert_many(&documents.marks);
        bounded(INTENT_LIMIT, async { Ok(inserting.await.map(drop)?) }).await
    }

    async fn remove(&self, kind: Kind, ids: &[Uuid]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let _change = self.changes.begin();
        let hashes = ids.iter().map(|id| {
            let [least, greatest] = link_hashes(*id).map(Digest);
            doc! { "_id": { "$gte": least, "$lte": greatest } }
        });
        let hashes = doc! { "$or": hashes.collect::<Vec<_>>() };
        let ids = array(ids);
        let these = doc! { "_id": { "$in": ids.clone() } };
        let users = doc! { "user": { "$in": ids.clone() } };
        let deletions: Vec<(Collection<Document>, Document)> = match kind {
            Kind::Accounts => vec![(self.accounts.clone_with_type(), these)],
            Kind::Roles => vec![(self.roles.clone_with_type(), these)],
            Kind::Groups => vec![(self.groups.clone_with_type(), these)],
            Kind::Users => vec![
                (self.sessions.clone_with_type(), users.clone()),
                (self.links.clone_with_type(), users.clone()),
                (self.avatars.clone_with_type(), users),
                (self.users.clone_with_type(), these),
            ],
            Kind::Avatars => vec![(self.avatars.clone_with_type(), these)],
            Kind::Sessions => vec![(self.sessions.clone_with_type(), these)],
            Kind::ApiTokens => vec![(self.api_tokens.clone_with_type(), these)],
            Kind::LoginEvents => vec![(self.login_events.clone_with_type(), these)],
            Kind::AuditEntries => vec![(self.audit.clone_with_type(), these)],
            Kind::Mails => vec![(self.mails.clone_with_type(), these)],
            Kind::Links => vec![(self.links.clone_with_type(), hashes)],
            Kind::Reports => vec![(self.report_marks.clone_with_type(), doc! { "account": { "$in": ids } })],
        };
        for (collection, filter) in deletions {
            self.remove_all(&collection, filter).await?;
        }
        Ok(())
    }

    async fn create(&self, records: &[Record], audit: &[AuditEntry]) -> Result<()> {
        self.transaction((self, records, audit), |session, (store, records, audit)| {
            Box::pin(async move {
                let mut documents = Documents::of(records);
                Self::add_all(session, &store.accounts, &documents.accounts).await?;
                Self::add_all(session, &store.roles, &documents.roles).await?;
                Self::add_all(session, &store.groups, &documents.groups).await?;
                // What is added with them may be granted.
                documents.users = Documents::of(&store.grants_of_all_that_hold(session, records).await?).users;
                documents.entries.extend(audit.iter().map(AuditDocument::from));
                let ids: Vec<Id> = documents.events.iter().map(|event| event.id).collect();
                if !ids.is_empty() {
                    round_trip("distinct");
                    let there = store
                        .login_events
                        .clone_with_type::<Document>()
                        .distinct("_id", doc! { "_id": { "$in": array(&ids) } })
                        .session(&mut *session)
                        .await?;
                    documents.events.retain(|event| !there.contains(&event.id.into()));
                }
                Self::add_all(session, &store.users, &documents.users).await?;
                Self::add_all(session, &store.avatars, &documents.avatars).await?;
                Self::add_all(session, &store.sessions, &documents.sessions).await?;
                Self::add_all(session, &store.api_tokens, &documents.tokens).await?;
                Self::add_all(session, &store.login_events, &documents.events).await?;
                Self::add_all(session, &store.audit, &documents.entries).await?;
                Self::add_all(session, &store.mails, &documents.mails).await?;
                Self::add_all(session, &store.links, &documents.links).await?;
                Self::add_all(session, &store.report_marks, &documents.marks).await
            })
        })
        .await
    }

    async fn stored_users(&self, ids: &[UserId], logins: &[(AccountId, Login)]) -> Result<Vec<StoredUser>> {
        let mut by_account: BTreeMap<AccountId, Vec<&str>> = BTreeMap::new();
        for (account, login) in logins {
            by_account.entry(*account).or_default().push(login.as_str());
        }
        let mut any: Vec<Document> = by_account
            .into_iter()
            .map(|(account, logins)| doc! { "account": Id::from(account), "login": { "$in": logins } })
            .collect();
        if !ids.is_empty() {
            any.push(doc! { "_id": { "$in": array(ids) } });
        }
        if any.is_empty() {
            return Ok(Vec::new());
        }
        let most = ids.len() + logins.len();
        let found = self
            .find(&self.users, &["recent"], doc! { "$or": any }, None, most)
            .await?;
        Ok(found.into_iter().map(stored_user).collect())
    }

    async fn settle_logins(&self, users: &[UserId]) -> Result<()> {
        let newest = self.newest_of(users).await?;
        let mut updates = newest
            .iter()
            .map(|(user, (events, last))| carrying(*user, events, last.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        let others = users.iter().filter(|user| !newest.contains_key(user));
        let without: Vec<UserId> = others.copied().collect();
        if !without.is_empty() {
            updates.push(carrying_nothing(&without));
        }
        if updates.is_empty() {
            return Ok(());
        }
        round_trip("update");
        let updating = self.database.run_command(doc! {
            "update": self.users.name(),
            "updates": updates,
            "ordered": false,
            "writeConcern": { "w": "majority", "j": true },
        });
        bounded(INTENT_LIMIT, async { told(&updating.await?) }).await
    }

    async fn estimate(&self, kind: Kind) -> Result<u64> {
        let collection: Collection<Document> = match kind {
            Kind::Accounts => self.accounts.clone_with_type(),
            Kind::Roles => self.roles.clone_with_type(),
            Kind::Groups => self.groups.clone_with_type(),
            Kind::Users => self.users.clone_with_type(),
            Kind::Avatars => self.avatars.clone_with_type(),
            Kind::Sessions => self.sessions.clone_with_type(),
            Kind::ApiTokens => self.api_tokens.clone_with_type(),
            Kind::LoginEvents => self.login_events.clone_with_type(),
            Kind::AuditEntries => self.audit.clone_with_type(),
            Kind::Mails => self.mails.clone_with_type(),
            Kind::Links => self.links.clone_with_type(),
            Kind::Reports => {
                round_trip("distinct");
                let finding = self.report_marks.distinct("account", doc! {});
                return bounded(INTENT_LIMIT, async { Ok(finding.await?.len() as u64) }).await;
            }
        };
        round_trip("count");
        let counting = collection.estimated_document_count();
        bounded(INTENT_LIMIT, async { Ok(counting.await?) }).await
    }
}
