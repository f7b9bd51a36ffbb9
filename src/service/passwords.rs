//! Changing passwords.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::access::Person;
use crate::auth::{HashError, limit_key};
use crate::domain::account::Account;
use crate::domain::audit::TargetType;
use crate::domain::credentials::{Credentials, PasswordChange, PasswordHash};
use crate::domain::ids::UserId;
use crate::domain::mail::Mail;
use crate::domain::password::MAX_PASSWORD_BYTES;
use crate::domain::user::User;
use crate::service::audit::{Action, diff, secret_changed, user_fields};
use crate::service::users::no_such_user;
use crate::service::{Caller, ErrorCode, Problem, Problems, Result, ServiceError, Services, UserWrites};
use crate::store::StoreError;

/// A user changed at the very moment is read again this often.
const TRIES: usize = 3;
/// Guesses of the current password by whoever holds a session, in a minute.
const CHANGES_PER_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// A word of a name that is shorter, in characters, is in too many passwords by chance.
const SHORTEST_GUESS: usize = 3;

impl Caller {
    /// Changes the caller's own password and ends their other sessions.
    ///
    /// # Errors
    /// Problems with `currentPassword` or `newPassword`; [`Denied`](crate::access::Denied); those of the store.
    pub async fn change_password(&self, current: &SecretString, new: &SecretString) -> Result<User> {
        let person = self.principal().as_person()?;
        self.principal().not_impersonating()?;
        self.limit_guesses(person).await?;
        for _ in 0..TRIES {
            let (user, credentials) = self.user_with_credentials(person.user.id).await?;
            self.services.check_takes_password(&person.account, &user)?;
            let path = ["currentPassword"];
            if current.expose_secret().len() > MAX_PASSWORD_BYTES
                || !self
                    .services
                    .hashes
                    .check(current, credentials.hash.as_ref())
                    .await?
                    .right
            {
                return Err(Problem::at(&path, ErrorCode::WrongCredentials, "The current password is wrong.").into());
            }
            let change = NewPassword {
                password: new,
                must_change: false,
                field: "newPassword",
                by: ByWhom::Oneself(person),
                send_link: false,
            };
            match self.set_password(&person.account, &user, &credentials, change).await {
                Err(ServiceError::Store(StoreError::Conflict { .. })) => {}
                result => return result,
            }
        }
        Err(StoreError::Unavailable("the user keeps changing".to_owned()).into())
    }

    async fn limit_guesses(&self, person: &Person) -> Result<()> {
        let key = limit_key("change-password", &person.user.id.to_string());
        let message = "Too many attempts to change the password; wait a little.";
        self.services.limit(key, CHANGES_PER_MINUTE, MINUTE, message).await
    }

    async fn user_with_credentials(&self, id: UserId) -> Result<(User, Credentials)> {
        let user = self
            .store()
            .users_by_ids(&[id])
            .await?
            .pop()
            .ok_or(StoreError::NotFound)?;
        let credentials = self.store().credentials(id).await?.ok_or(StoreError::NotFound)?;
        Ok((user, credentials))
    }

    async fn set_password(
        &self,
        account: &Account,
        user: &User,
        credentials: &Credentials,
        new: NewPassword<'_>,
    ) -> Result<User> {
        self.services
            .check_policy(account, user, new.password, new.field)
            .await?;
        self.services
            .check_history(account, credentials, new.password, new.field)
            .await?;
        let change = PasswordChange {
            hash: self.services.hashes.hash(new.password).await?,
            changed_at: self.now(),
            must_change: new.must_change,
            keep_history: account.password_policy.history,
        };
        let changed = User {
            has_password: true,
            password_changed_at: Some(change.changed_at),
            must_change_password: new.must_change,
            updated_at: change.changed_at,
            revision: user.revision + 1,
            ..user.clone()
        };
        let mut changes = diff(&user_fields(user), &user_fields(&changed));
        changes.push(secret_changed("password"));
        let (action, keep_session) = match new.by {
            ByWhom::Oneself(person) => ("changePassword", Some(person.session.id)),
            ByWhom::Administrator => ("setUserPassword", None),
        };
        let audit = self.audit(Action {
            name: action,
            account: account.id,
            target_type: TargetType::User,
            target_id: user.id.as_uuid(),
            target_name: format!("{}@{}", user.login, account.name),
            changes,
        })?;
        let mut mails: Vec<Mail> = Vec::new();
        let (at, services) = (change.changed_at, &self.services);
        mails.extend(match new.by {
            ByWhom::Oneself(person) => {
                services.notice_of_password(account, user, at, None, Some(self.origin_of(person)))?
            }
            ByWhom::Administrator => services.notice_of_password(account, user, at, Some(self.in_words()), None)?,
        });
        if new.send_link {
            mails.extend(self.access_mail(account, &changed)?);
        }
        self.store()
            .set_password(user.id, user.revision, &change, keep_session, &audit, &mails)
            .await?;
        services.post.announce(&mails);
        Ok(changed)
    }
}

/// How somebody gets in from now on. Both may be given: a password for now, and a link to choose one's own.
#[derive(Debug)]
pub struct AccessInput {
    /// The password.
    pub password: Option<SecretString>,
    /// It must be changed at the next sign-in.
    pub must_change_password: bool,
    /// Send a link to set a password.
    pub send_access_email: bool,
}

impl UserWrites<'_> {
    /// Sets somebody's password and ends their sessions.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed` with `id`; problems with `password` and `sendAccessEmail`;
    /// [`Denied`](crate::access::Denied) to whoever acts for another; those of the store.
    pub async fn set_password(&self, id: UserId, access: &AccessInput) -> Result<User> {
        self.caller.principal().not_impersonating()?;
        for _ in 0..TRIES {
            let (seen, account) = self.writable(id).await?;
            self.not_oneself(id, "Change your own password with changePassword.")?;
            let (user, credentials) = self.caller.user_with_credentials(id).await?;
            if user.revision != seen.revision {
                continue; // whether the caller may is to be asked about the user as it is now
            }
            if let Some(message) = self.above(&user).await? {
                return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
            }
            let mut problems = Problems::default();
            if access.send_access_email {
                let checked = self.caller.services.check_takes_link(&account, &user);
                problems.note(&["sendAccessEmail"], checked)?;
            }
            let Some(password) = &access.password else {
                problems.check()?;
                if access.send_access_email {
                    return self.send_access_email(id).await;
                }
                let message = "Give a password, or have a link sent with sendAccessEmail.";
                return Err(Problem::at(&["password"], ErrorCode::Required, message).into());
            };
            let services = &self.caller.services;
            services
                .check_new_password(&account, &user, password, &mut problems)
                .await?;
            problems.check()?;
            let new = NewPassword {
                password,
                must_change: access.must_change_password,
                field: "password",
                by: ByWhom::Administrator,
                send_link: access.send_access_email,
            };
            match self.caller.set_password(&account, &user, &credentials, new).await {
                Err(ServiceError::Store(StoreError::Conflict { .. })) => {}
                Err(ServiceError::Store(StoreError::NotFound)) => return Err(no_such_user().into()),
                result => return result,
            }
        }
        Err(StoreError::Unavailable("the user keeps changing".to_owned()).into())
    }
}

/// What everything that writes to somebody comes to without a mail server.
pub(super) fn mail_off() -> Problem {
    Problem::new(ErrorCode::MailOff, "Mail is off: the configuration has no mail.url.")
}

/// A password to set.
struct NewPassword<'a> {
    password: &'a SecretString,
    must_change: bool,
    /// The input's field, for problems.
    field: &'static str,
    by: ByWhom<'a>,
    /// A link to choose another one is sent with it.
    send_link: bool,
}

/// Who sets a password.
#[derive(Clone, Copy)]
enum ByWhom<'a> {
    /// Its owner, in this session, which goes on.
    Oneself(&'a Person),
    /// Somebody else.
    Administrator,
}

/// What somebody who knows a user guesses first: their names, the account's, and each word of them.
fn first_guesses(account: &Account, user: &User) -> Vec<String> {
    let mut names = vec![user.login.to_string(), user.first_name.clone(), user.last_name.clone()];
    names.extend([account.name.to_string(), account.title.clone(), "doorward".to_owned()]);
    names.extend(user.email.as_ref().map(|e| e.as_str().to_owned()));
    let words: Vec<String> = names
        .iter()
        .flat_map(|name| name.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| word.chars().count() >= SHORTEST_GUESS)
        .map(str::to_owned)
        .collect();
    names.retain(|name| !name.is_empty());
    for word in words {
        if !names.contains(&word) {
            names.push(word);
        }
    }
    names
}

impl Services {
    /// May this user have a local password at all?
    pub(super) fn check_takes_password(&self, account: &Account, user: &User) -> Result<()> {
        if user.is_ldap {
            return Err(Problem::new(
                ErrorCode::IsLdap,
                "An LDAP user's password is changed in the directory.",
            )
            .into());
        }
        if account.refuses_local_passwords() {
            let message = "The account takes passwords of its directory only.";
            return Err(Problem::new(ErrorCode::DirectoryOnly, message).into());
        }
        Ok(())
    }

    /// Whether an administrator may give this user that password: what is wrong is noted with `password`.
    pub(super) async fn check_new_password(
        &self,
        account: &Account,
        user: &User,
        password: &SecretString,
        problems: &mut Problems,
    ) -> Result<()> {
        let checked = match self.check_takes_password(account, user) {
            Ok(()) => self.check_policy(account, user, password, "password").await,
            refused => refused,
        };
        problems.note(&["password"], checked)
    }

    /// Length and strength, with the user's own names as the first guesses.
    pub(super) async fn check_policy(
        &self,
        account: &Account,
        user: &User,
        password: &SecretString,
        field: &'static str,
    ) -> Result<()> {
        let policy = account.password_policy;
        let weak = |message: String| Err(Problem::at(&[field], ErrorCode::WeakPassword, message).into());
        let text = password.expose_secret();
        if text.len() > MAX_PASSWORD_BYTES {
            let message = format!("The password is over {MAX_PASSWORD_BYTES} bytes.");
            return Err(Problem::at(&[field], ErrorCode::TooLong, message).into());
        }
        if text.contains('\0') {
            let message = "The password holds a NUL character.";
            return Err(Problem::at(&[field], ErrorCode::Invalid, message).into());
        }
        let (length, least) = (text.chars().count(), policy.min_length as usize);
        if length < least {
            return weak(format!(
                "The password has {length} characters; it takes at least {least}."
            ));
        }
        let names = first_guesses(account, user);
        let guessed = password.clone();
        // Estimating guesses takes milliseconds of pure computation.
        let estimate = tokio::task::spawn_blocking(move || {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let entropy = zxcvbn::zxcvbn(guessed.expose_secret(), &names);
            (
                u8::from(entropy.score()),
                entropy.feedback().and_then(|f| f.warning()).map(|w| w.to_string()),
            )
        });
        let (score, warning) = estimate.await.map_err(|e| ServiceError::Stopped(e.to_string()))?;
        if score < policy.min_strength {
            let why = warning.unwrap_or_else(|| "Add another word or two; uncommon words are better.".to_owned());
            return weak(format!(
                "The password is easy to guess ({score} of 4, at least {} needed). {why}",
                policy.min_strength
            ));
        }
        Ok(())
    }

    pub(super) async fn check_history(
        &self,
        account: &Account,
        credentials: &Credentials,
        password: &SecretString,
        field: &'static str,
    ) -> Result<()> {
        let kept = usize::try_from(account.password_policy.history).unwrap_or(usize::MAX);
        let earlier: Vec<&PasswordHash> = credentials
            .hash
            .iter()
            .chain(credentials.history.iter().take(kept))
            .collect();
        for hash in earlier {
            let checked = match self.hashes.check(password, Some(hash)).await {
                // No password is that one any more.
                Err(HashError::Unreadable(_)) => continue,
                checked => checked?,
            };
            if checked.right {
                let message = "The password was used before; choose a new one.";
                return Err(Problem::at(&[field], ErrorCode::ReusedPassword, message).into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::login::Login;
    use crate::domain::testing;
    use crate::domain::user::Email;

    #[test]
    fn the_words_of_every_name_are_guessed_first() {
        let account = Account {
            title: "Zubrowka & Sons (Quetzal)".to_owned(),
            ..testing::account("acme-brd")
        };
        let user = User {
            login: Login::parse("tycho.b-okafor").unwrap(),
            first_name: "Mary Ann".to_owned(),
            last_name: "O'Brien".to_owned(),
            email: Some(Email::parse("tycho@mail.example.org").unwrap()),
            ..testing::user(&account, "x", false)
        };
        let guesses = first_guesses(&account, &user);
        for word in [
            "tycho.b-okafor",
            "tycho",
            "okafor",
            "Mary Ann",
            "Mary",
            "Ann",
            "Brien",
            "acme-brd",
            "acme",
            "brd",
            "Zubrowka",
            "Sons",
            "Quetzal",
            "tycho@mail.example.org",
            "mail",
            "example",
            "org",
            "doorward",
        ] {
            assert_eq!(guesses.iter().filter(|g| *g == word).count(), 1, "{word}: {guesses:?}");
        }
        assert!(
            !guesses.iter().any(|g| g == "b" || g == "O" || g.is_empty()),
            "{guesses:?}"
        );
        let names: Vec<&str> = guesses.iter().map(String::as_str).collect();
        for made_of in ["okaforzubrowka", "QuetzalOkafor", "zubrowkatycho"] {
            let score = |names: &[&str]| u8::from(zxcvbn::zxcvbn(made_of, names).score());
            assert!(score(&names) < 3 && score(&[]) >= 3, "{made_of}");
        }
    }
}
