//! Links that set a password.

use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::documents::{
    AccessLinkDocument, AccountDocument, At, Digest, EventDocument, Id, SessionDocument, USER_HIDDEN, UserDocument,
    word,
};
use super::indexes::collections;
use super::lists::without;
use super::login::{carry_one, later_login};
use super::transaction::Halt;
use super::user::{exactly, new_password};
use super::{MongoStore, round_trip};
use crate::domain::credentials::TokenHash;
use crate::domain::link::{AccessLink, LinkState};
use crate::domain::login_event::LoginOutcome;
use crate::domain::mail::LinkKind;
use crate::domain::user::{User, UserStatus};
use crate::store::{FoundLink, Minted, Redemption, Result, StoreError};

/// A link joined with all that using it takes.
#[derive(Deserialize)]
struct LinkRow {
    link: AccessLinkDocument,
    user: Option<UserDocument>,
    account: Option<AccountDocument>,
}

/// A user's links.
pub(super) fn of_user(link: &AccessLink) -> Document {
    doc! { "account": Id::from(link.account), "user": Id::from(link.user) }
}

impl MongoStore {
    pub(super) async fn find_whole_link(&self, hash: &TokenHash) -> Result<Option<FoundLink>> {
        let pipeline = vec![
            doc! { "$match": { "_id": Digest(hash.0) } },
            doc! { "$replaceWith": { "link": "$$ROOT" } },
            doc! { "$lookup": {
                "from": collections::USERS, "localField": "link.user", "foreignField": "_id", "as": "user",
                "pipeline": [{ "$unset": "recent" }],
            } },
            doc! { "$lookup": {
                "from": collections::ACCOUNTS, "localField": "link.account", "foreignField": "_id", "as": "account",
            } },
            doc! { "$set": { "user": { "$first": "$user" }, "account": { "$first": "$account" } } },
        ];
        let rows: Vec<LinkRow> = self.aggregate(&self.links, pipeline, 1).await?;
        Ok(rows.into_iter().next().and_then(|row| {
            let mut user = row.user?;
            Some(FoundLink {
                link: row.link.into(),
                credentials: user.password.take().unwrap_or_default().into(),
                user: user.into(),
                account: row.account?.into(),
            })
        }))
    }

    pub(super) async fn mint(&self, link: &AccessLink) -> Result<Minted> {
        self.transaction((self, link), |session, (store, link)| {
            Box::pin(store.mint_in(session, link))
        })
        .await
    }

    async fn mint_in(&self, session: &mut ClientSession, link: &AccessLink) -> std::result::Result<Minted, Halt> {
        // Whoever mints a link, or changes the password, writes the user: of two at once the later one fails and is tried
        // again, with the earlier one's outcome in sight.
        round_trip("findAndModify");
        let user: Option<User> = self
            .users
            .find_one_and_update(
                doc! { "_id": Id::from(link.user), "account": Id::from(link.account) },
                doc! { "$inc": { "links_minted": 1_i64 } },
            )
            .projection(without(&USER_HIDDEN))
            .session(&mut *session)
            .await?
            .map(Into::into);
        let Some(user) = user.filter(|user| user.status == UserStatus::Active && !user.is_ldap) else {
            return Ok(Minted::NoUse);
        };
        // Users of an account that was deleted are there for a while.
        round_trip("find");
        let accounts = self.accounts.clone_with_type::<Document>();
        let account = accounts.find_one(doc! { "_id": Id::from(link.account) });
        if account.session(&mut *session).await?.is_none() {
            return Ok(Minted::NoUse);
        }
        if let Some(changed) = Minted::changed(link, &user) {
            return Ok(changed);
        }
        let kinds = |wanted: &dyn Fn(LinkKind) -> bool| -> Result<Document> {
            let kinds = LinkKind::ALL.iter().filter(|kind| wanted(**kind)).map(word);
            Ok(doc! { "$in": kinds.collect::<Result<Vec<_>>>()? })
        };
        let mut later = of_user(link);
        later.insert("mail", doc! { "$gt": Id::from(link.mail) });
        later.insert("kind", kinds(&|kind| kind.ends(link.kind))?);
        round_trip("find");
        let links = self.links.clone_with_type::<Document>();
        if links.find_one(later).session(&mut *session).await?.is_some() {
            return Ok(Minted::Superseded);
        }
        let mut earlier = of_user(link);
        earlier.insert("mail", doc! { "$lt": Id::from(link.mail) });
        earlier.insert("kind", kinds(&|kind| link.kind.ends(kind))?);
        earlier.insert("superseded_at", Bson::Null);
        earlier.insert("used_at", Bson::Null);
        let superseded = doc! { "$set": { "superseded_at": At(link.created_at) } };
        round_trip("update");
        self.links
            .update_many(earlier, superseded)
            .session(&mut *session)
            .await?;
        round_trip("insert");
        self.links
            .insert_one(AccessLinkDocument::from(link))
            .session(session)
            .await?;
        Ok(Minted::Stored)
    }

    /// Ends the links of a user that are still of use, as a part of a transaction.
    pub(super) async fn end_links(
        &self,
        session: &mut ClientSession,
        user: &User,
        at: Timestamp,
    ) -> std::result::Result<(), Halt> {
        let links = doc! {
            "account": Id::from(user.account), "user": Id::from(user.id), "superseded_at": Bson::Null, "used_at": Bson::Null,
        };
        round_trip("update");
        self.links
            .update_many(links, doc! { "$set": { "superseded_at": At(at) } })
            .session(session)
            .await?;
        Ok(())
    }

    pub(super) async fn redeem(&self, redemption: &Redemption) -> Result<()> {
        self.transaction((self, redemption), |session, (store, redemption)| {
            Box::pin(store.redeem_in(session, redemption))
        })
        .await
    }

    async fn redeem_in(&self, session: &mut ClientSession, redemption: &Redemption) -> std::result::Result<(), Halt> {
        round_trip("find");
        let found = self.links.find_one(doc! { "_id": Digest(redemption.hash.0) });
        let found = found.session(&mut *session).await?;
        let link: AccessLink = found.ok_or(StoreError::NotFound)?.into();
        let user = self.stored_user(session, link.user, None).await?;
        if link.state(redemption.at, &user) != LinkState::Valid {
            return Err(StoreError::NotFound.into());
        }
        if user.revision != redemption.opened.user_revision {
            return Err(StoreError::Conflict { current: user.revision }.into());
        }

        let mut same_mail = of_user(&link);
        same_mail.insert("mail", Id::from(link.mail));
        same_mail.insert("used_at", Bson::Null);
        round_trip("update");
        self.links
            .update_many(same_mail, doc! { "$set": { "used_at": At(redemption.at) } })
            .session(&mut *session)
            .await?;

        self.end_sessions(session, of_user(&link)).await?;
        let opened = &redemption.opened;
        round_trip("insert");
        self.sessions
            .insert_one(SessionDocument::new(&opened.session, &opened.token_hash))
            .session(&mut *session)
            .await?;
        round_trip("insert");
        self.login_events
            .insert_one(EventDocument::from(&redemption.event))
            .session(&mut *session)
            .await?;
        let logins: Vec<Document> = redemption
            .cleared
            .iter()
            .map(|key| doc! { "account": Id::from(key.account), "login": Digest(key.login) })
            .collect();
        if !logins.is_empty() {
            round_trip("delete");
            self.failures
                .delete_many(doc! { "$or": logins })
                .session(&mut *session)
                .await?;
        }
        self.write_mails(session, &redemption.mails).await?;
        self.write_audit(session, &redemption.audit).await?;

        // Last, as others may be waiting for this document.
        let mut fields = doc! { "recent": carry_one(&redemption.event)?, "locked_until": Bson::Null };
        if redemption.event.outcome == LoginOutcome::Success {
            fields.insert("last_login", later_login(&redemption.event)?);
        }
        let mut change = new_password(&redemption.change);
        change.push(doc! { "$set": fields });
        round_trip("update");
        self.users.update_one(exactly(&user), change).session(session).await?;
        Ok(())
    }
}
