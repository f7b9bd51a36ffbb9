//! Notices: what a user is told of that happened to them.

use jiff::Timestamp;

use super::Address;
use crate::access::Person;
use crate::domain::account::Account;
use crate::domain::ids::RoleId;
use crate::domain::login_event::{EventOrigin, LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::mail::{Mail, Matter};
use crate::domain::page::PageRequest;
use crate::domain::query::LoginEventFilter;
use crate::domain::session::Impersonation;
use crate::domain::user::{Email, User};
use crate::service::{Caller, Result, Services};

/// How many of a user's last sign-ins say what is new: more than anybody makes before they would have forgotten a browser.
const REMEMBERED: usize = PageRequest::MAX;

impl Services {
    /// The user's password was changed: by themselves (`by` is `None`), or by somebody else.
    pub(in crate::service) fn notice_of_password(
        &self,
        account: &Account,
        user: &User,
        at: Timestamp,
        by: Option<String>,
        origin: Option<EventOrigin>,
    ) -> Result<Option<Mail>> {
        self.letter(
            account,
            user,
            Matter::PasswordChanged { at, by, origin },
            Address::Contact,
        )
    }

    /// The user is locked out by a wrong password from there.
    pub(in crate::service) fn notice_of_lock(
        &self,
        account: &Account,
        user: &User,
        at: Timestamp,
        origin: &EventOrigin,
    ) -> Result<Option<Mail>> {
        let matter = Matter::LockedOut {
            at,
            minutes: account.password_policy.lockout_minutes,
            origin: origin.clone(),
        };
        self.letter(account, user, matter, Address::Contact)
    }

    /// The user signs in from there: with a browser, or from a country, that they never did before. Nobody is told of their
    /// first sign-in.
    pub(in crate::service) async fn notice_of_sign_in(
        &self,
        account: &Account,
        user: &User,
        at: Timestamp,
        origin: &EventOrigin,
    ) -> Result<Option<Mail>> {
        let Some(last) = &user.last_login else {
            return Ok(None);
        };
        let wanted = user.notifications.security_notices && self.settings.mail.is_on;
        if !wanted || Address::Alerts.of(user).is_none() {
            return Ok(None);
        }
        let mut news = News::of(origin, [&last.origin]);
        if news.is_any() {
            // Not as the last time; as ever before?
            let filter = LoginEventFilter {
                account: Some(account.id),
                user: Some(user.id),
                outcomes: Some(vec![LoginOutcome::Success]),
                methods: Some(vec![LoginMethod::Local, LoginMethod::Ldap, LoginMethod::Link]),
                ..LoginEventFilter::default()
            };
            let pages = self
                .store
                .login_events(&[filter], &PageRequest::first(REMEMBERED))
                .await?;
            let events: Vec<LoginEvent> = pages.into_iter().flat_map(|page| page.items).collect();
            news = News::of(origin, events.iter().map(|event| &event.origin).chain([&last.origin]));
        }
        if !news.is_any() {
            return Ok(None);
        }
        let matter = Matter::NewSignIn {
            at,
            origin: origin.clone(),
            new_browser: news.browser,
            new_country: news.country,
        };
        self.letter(account, user, matter, Address::Alerts)
    }
}

impl Caller {
    /// The user's contact address changes by the caller; told to the address that was there before.
    ///
    /// Whoever holds a session can change the address without the password, and have a link to set a new one sent to
    /// it: the notice is how a user learns of a stolen session, so nothing switches it off, and it goes where the change
    /// has no hold on.
    pub(in crate::service) fn notice_of_address(
        &self,
        account: &Account,
        before: &User,
        after: &User,
    ) -> Result<Option<Mail>> {
        let folded = |user: &User| user.email.as_ref().map(Email::folded);
        if folded(before) == folded(after) {
            return Ok(None);
        }
        let oneself = self.principal().person().filter(|_| self.is_really(after));
        let matter = Matter::AddressChanged {
            at: self.now(),
            by: oneself.is_none().then(|| self.in_words()),
            // Where an administrator sits is theirs.
            origin: oneself.map(|person| self.origin_of(person)),
        };
        self.services.letter(account, before, matter, Address::Contact)
    }

    /// Is the caller that user, and not somebody who acts for them?
    fn is_really(&self, user: &User) -> bool {
        self.principal().user() == Some(user.id) && self.principal().not_impersonating().is_ok()
    }

    /// Where somebody asks from right now, as far as it is known.
    pub(in crate::service) fn origin_of(&self, person: &Person) -> EventOrigin {
        let origin = person.session.origin.clone();
        EventOrigin {
            ip: self.ip.unwrap_or(origin.ip),
            ..origin
        }
    }

    /// The user's roles, or being a master, change by the caller.
    pub(in crate::service) async fn notice_of_access(
        &self,
        account: &Account,
        before: &User,
        after: &User,
    ) -> Result<Option<Mail>> {
        let (had, has) = (before.roles(), after.roles());
        let gained: Vec<RoleId> = has.iter().filter(|role| !had.contains(role)).copied().collect();
        let lost: Vec<RoleId> = had.iter().filter(|role| !has.contains(role)).copied().collect();
        let master = (before.is_master() != after.is_master()).then_some(after.is_master());
        let nothing = gained.is_empty() && lost.is_empty() && master.is_none();
        if nothing
            || self.is_really(after)
            || !before.notifications.security_notices
            || !self.services.settings.mail.is_on
        {
            return Ok(None);
        }
        let ids: Vec<RoleId> = gained.iter().chain(&lost).copied().collect();
        let roles = if ids.is_empty() {
            Vec::new()
        } else {
            self.store().roles_by_ids(&ids).await?
        };
        let names = |ids: &[RoleId]| {
            let mut names: Vec<String> = roles
                .iter()
                .filter(|role| ids.contains(&role.id))
                .map(|role| role.name.clone())
                .collect();
            names.sort_unstable();
            names
        };
        let matter = Matter::AccessChanged {
            at: self.now(),
            by: self.in_words(),
            gained: names(&gained),
            lost: names(&lost),
            master,
        };
        // What the same change says of notices and addresses is no way around being told of it.
        self.services.letter(account, before, matter, Address::Alerts)
    }

    /// The caller is about to act in the user's name. Whoever may do so may switch a user's notices off, and change where
    /// they go, in the same breath: so this one is nobody's to switch off, and goes to the contact address where there is
    /// one, a change of which is told itself.
    pub(in crate::service) fn notice_of_impersonation(
        &self,
        account: &Account,
        user: &User,
        impersonation: &Impersonation,
        minutes: u64,
    ) -> Result<Option<Mail>> {
        let matter = Matter::Impersonated {
            at: self.now(),
            by: impersonation.by.name.clone(),
            reason: impersonation.reason.clone(),
            minutes: u32::try_from(minutes).unwrap_or(u32::MAX),
            read_only: impersonation.read_only,
        };
        let address = if user.email.is_some() {
            Address::Contact
        } else {
            Address::Alerts
        };
        self.services.letter(account, user, matter, address)
    }
}

/// What is new about where somebody signs in from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct News {
    browser: bool,
    country: bool,
}

impl News {
    /// Against where they did before. A country that is not known is not new, and a browser that does not say what it is is
    /// one like any other.
    fn of<'a>(now: &EventOrigin, before: impl IntoIterator<Item = &'a EventOrigin>) -> Self {
        let country = |origin: &EventOrigin| origin.location.as_ref().and_then(|l| l.country_code.clone());
        let mut news = Self {
            browser: true,
            country: country(now).is_some(),
        };
        let mut knew_countries = false;
        for origin in before {
            news.browser &= family(origin) != family(now);
            knew_countries |= country(origin).is_some();
            news.country &= country(origin) != country(now);
        }
        // The first sign-in after a GeoIP database was configured is no move to another country.
        news.country &= knew_countries;
        news
    }

    fn is_any(self) -> bool {
        self.browser || self.country
    }
}

/// The browser without its version, and the system that it runs on without its own: an update makes no browser new.
fn family(origin: &EventOrigin) -> (Option<&str>, Option<&str>) {
    (
        without_version(origin.browser.as_deref()),
        without_version(origin.operating_system.as_deref()),
    )
}

fn without_version(name: Option<&str>) -> Option<&str> {
    let name = name?;
    match name.rsplit_once(' ') {
        Some((family, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => Some(family),
        _ => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::location::Location;
    use crate::domain::testing;

    fn from(browser: &str, country: Option<&str>) -> EventOrigin {
        EventOrigin {
            browser: Some(browser.into()),
            location: country.map(|code| Location {
                country_code: Some(code.into()),
                ..Location::default()
            }),
            ..testing::origin()
        }
    }

    #[test]
    fn an_update_makes_no_browser_new() {
        let before = [from("Firefox 139", Some("DE")), from("Mobile Safari", Some("FR"))];
        let news = |now: EventOrigin| News::of(&now, &before);
        assert!(!news(from("Firefox 140", Some("FR"))).is_any());
        assert!(!news(from("Mobile Safari", None)).is_any());
        assert_eq!(
            news(from("Chrome 140", Some("DE"))),
            News {
                browser: true,
                country: false
            }
        );
        assert_eq!(
            news(from("Firefox 140", Some("IT"))),
            News {
                browser: false,
                country: true
            }
        );
    }

    #[test]
    fn a_country_is_new_only_where_one_was_known() {
        let news = News::of(&from("Firefox 140", Some("DE")), [&from("Firefox 140", None)]);
        assert!(!news.is_any());
    }
}
