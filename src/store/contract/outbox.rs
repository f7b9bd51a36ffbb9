//! Made-up mails and links, for the rules of the outbox.

use std::sync::Arc;

use jiff::civil::date;
use uuid::Uuid;

use super::sample::{Maker, at, full_origin, origin, password, token};
use crate::domain::account::{Account, Language};
use crate::domain::credentials::PasswordChange;
use crate::domain::ids::{AccountId, MailId};
use crate::domain::link::AccessLink;
use crate::domain::login::Login;
use crate::domain::login_event::LoginOutcome;
use crate::domain::mail::{
    AlertKind, LinkKind, Mail, MailContent, MailState, Matter, Reader, Report, ReportBar, ReportKind,
};
use crate::domain::user::{Email, User};
use crate::store::{MailClaim, Store};

impl Maker {
    /// A mail to a user, queued and due `seconds` after the start. Its id grows with that.
    pub(crate) fn mail(&mut self, user: &User, seconds: i64) -> Mail {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.number().to_be_bytes());
        let millis = u64::try_from(at(seconds).as_millisecond()).unwrap();
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        Mail {
            id: MailId::from_uuid(id),
            account: user.account,
            user: user.id,
            to: address(&user.login),
            language: Language::Ru,
            subject: format!("Пароль {} изменён 😀", user.login),
            content: MailContent {
                reader: Reader {
                    first_name: "Ann".to_owned(),
                    last_name: String::new(),
                    login: format!("{}@acme", user.login),
                    account_title: "Côte & \"Co\" <b>".to_owned(),
                    time_zone: "Europe/Paris".to_owned(),
                },
                matter: Matter::PasswordChanged {
                    at: at(seconds),
                    by: None,
                    origin: Some(full_origin()),
                },
            },
            key: None,
            state: MailState::Queued,
            attempts: 0,
            last_error: None,
            created_at: at(seconds),
            next_attempt_at: Some(at(seconds)),
            sent_at: None,
        }
    }

    /// A user as [`Maker::stored_user`] makes them, at the address that their mails go to.
    pub(crate) async fn stored_reader(&mut self, store: &Arc<dyn Store>, account: &Account, login: &str) -> User {
        let user = self.reader(account.id, login);
        self.store_user(store, &user).await;
        user
    }

    /// The same, not stored.
    pub(crate) fn reader(&mut self, account: AccountId, login: &str) -> User {
        let user = self.user(account, login);
        User {
            email: Some(address(&user.login)),
            ..user
        }
    }

    /// One with a key.
    pub(crate) fn keyed_mail(&mut self, user: &User, seconds: i64, key: &str) -> Mail {
        Mail {
            key: Some(key.to_owned()),
            ..self.mail(user, seconds)
        }
    }
}

/// A new password, at a second.
pub(crate) fn change(text: &str, seconds: i64) -> PasswordChange {
    PasswordChange {
        hash: password(text),
        changed_at: at(seconds),
        must_change: false,
        keep_history: 3,
    }
}

fn address(login: &Login) -> Email {
    Email::parse(&format!("{login}@Example.org")).unwrap()
}

/// A link of a mail, for an hour, bound to the user's password as it is.
pub(crate) fn link(user: &User, mail: &Mail, n: u8, seconds: i64) -> AccessLink {
    AccessLink {
        hash: token(n),
        account: user.account,
        user: user.id,
        mail: mail.id,
        to: mail.to.folded(),
        kind: LinkKind::Access,
        created_at: at(seconds),
        expires_at: at(seconds + 3600),
        password_changed_at: user.password_changed_at,
        used_at: None,
        superseded_at: None,
    }
}

/// One of each kind of what mails are about, with what is optional here and there.
pub(crate) fn matters() -> Vec<Matter> {
    let report = Report {
        period: ReportKind::Weekly,
        first_day: date(2026, 2, 23),
        last_day: date(2026, 3, 1),
        succeeded: 7,
        unique_users: 3,
        failures: vec![(LoginOutcome::WrongPassword, 5), (LoginOutcome::Locked, 1 << 40)],
        new_users: 1,
        new_logins: vec!["bob".to_owned()],
        locked_users: 0,
        locked_logins: Vec::new(),
        new_countries: vec!["CI".to_owned()],
        bars: vec![ReportBar {
            start: at(0),
            succeeded: 7,
            failed: 6,
        }],
    };
    vec![
        Matter::Access {
            by: "root@system".to_owned(),
            password_changed_at: None,
        },
        Matter::PasswordReset {
            origin: origin("192.0.2.7"),
            password_changed_at: Some(at(0)),
        },
        Matter::PasswordChanged {
            at: at(1),
            by: Some("root@system".to_owned()),
            origin: None,
        },
        Matter::AddressChanged {
            at: at(1),
            by: None,
            origin: Some(full_origin()),
        },
        Matter::LockedOut {
            at: at(1),
            minutes: 15,
            origin: full_origin(),
        },
        Matter::NewSignIn {
            at: at(1),
            origin: full_origin(),
            new_browser: true,
            new_country: false,
        },
        Matter::AccessChanged {
            at: at(1),
            by: "root@system".to_owned(),
            gained: vec!["Sender".to_owned()],
            lost: Vec::new(),
            master: Some(false),
        },
        Matter::Impersonated {
            at: at(1),
            by: "root@system".to_owned(),
            reason: "Ticket 7\nsecond line".to_owned(),
            minutes: 30,
            read_only: true,
        },
        Matter::PasswordExpires { at: at(1), days: 14 },
        Matter::Alert {
            alert: AlertKind::HardBounces,
            subject: "Many bounces".to_owned(),
            body: "$where they came from: {{x}}\r\n.\r\n".to_owned(),
        },
        Matter::Report(Box::new(report)),
    ]
}

/// The mails of these ids, in their order.
pub(crate) async fn stored(store: &Arc<dyn Store>, mails: &[&Mail]) -> Vec<Mail> {
    let ids: Vec<MailId> = mails.iter().map(|mail| mail.id).collect();
    let mut found = store.mails_by_ids(&ids).await.unwrap();
    found.sort_by_key(|mail| ids.iter().position(|id| *id == mail.id));
    found
}

/// What a process gets that asks at a second, until another.
pub(crate) async fn claim(store: &Arc<dyn Store>, holder: Uuid, now: i64, until: i64, limit: usize) -> Vec<Mail> {
    let claim = MailClaim {
        holder,
        now: at(now),
        until: at(until),
        limit,
    };
    store.claim_mails(&claim).await.unwrap()
}

/// As it is while somebody has it in hand.
pub(crate) fn in_hand(mail: &Mail, attempts: u32) -> Mail {
    Mail {
        state: MailState::Sending,
        attempts,
        next_attempt_at: None,
        ..mail.clone()
    }
}

/// A mail in each state.
pub(crate) async fn one_of_each(store: &Arc<dyn Store>, make: &mut Maker, user: &User) -> Vec<Mail> {
    let mut mails = Vec::new();
    for (seconds, state) in (0..).zip(MailState::ALL) {
        let waits = state == MailState::Queued;
        let mail = make.mail(user, seconds);
        mails.push(Mail {
            state,
            attempts: 4,
            last_error: Some("451".to_owned()),
            next_attempt_at: mail.next_attempt_at.filter(|_| waits),
            ..mail
        });
    }
    store.queue_mails(&mails, None).await.unwrap();
    mails
}
