//! Creating and changing users.

use secrecy::SecretString;

use crate::domain::account::{Account, Language};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::ids::{AccountId, GroupId, RoleId, UserId};
use crate::domain::login::Login;
use crate::domain::phone::phone;
use crate::domain::text::line;
use crate::domain::user::{Email, Notifications, User};
use crate::service::audit::{made, secret_changed, user_fields};
use crate::service::error::{expect, index};
use crate::service::users::{action_on, entry_taken, login_taken};
use crate::service::{ErrorCode, Problem, Problems, Result, UserWrites};
use crate::store::{StoreError, Unique};

/// Changes to notification settings; `None` keeps what is.
#[derive(Debug, Default, Clone)]
pub struct NotificationChanges {
    /// Where alerts go; `Some(None)`: to the contact address.
    pub email: Option<Option<String>>,
    /// See [`Notifications`].
    pub limits_exhausted: Option<bool>,
    /// See [`Notifications`].
    pub subscriber_complaints: Option<bool>,
    /// See [`Notifications`].
    pub hard_bounces: Option<bool>,
    /// See [`Notifications`].
    pub soft_bounces: Option<bool>,
    /// See [`Notifications`].
    pub daily_reports: Option<bool>,
    /// See [`Notifications`].
    pub weekly_reports: Option<bool>,
    /// See [`Notifications`].
    pub security_notices: Option<bool>,
}

/// A new user. An id that is `None` was given but is none of that kind.
#[derive(Debug, Default)]
pub struct NewUser {
    /// The account; the caller's when not given.
    pub account: Option<Option<AccountId>>,
    /// The login, without the account.
    pub login: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Contact address.
    pub email: Option<String>,
    /// The account's language when `None`.
    pub language: Option<Language>,
    /// Telephone.
    pub phone: Option<String>,
    /// Notification settings that differ from the defaults.
    pub notifications: NotificationChanges,
    /// A local password.
    pub password: Option<SecretString>,
    /// The password must be changed at the first sign-in.
    pub must_change_password: bool,
    /// Send a link to set a password.
    pub send_access_email: bool,
    /// May do everything in the account.
    pub is_master: bool,
    /// Signs in with the directory's password.
    pub is_ldap: bool,
    /// Roles.
    pub roles: Vec<Option<RoleId>>,
    /// Groups; the Main group when there are none.
    pub groups: Vec<Option<GroupId>>,
}

/// Changes to a user: `None` keeps what is, `Some(None)` clears.
#[derive(Debug, Default, Clone)]
pub struct UserChanges {
    /// Only if the user is still at this revision.
    pub revision: Option<i64>,
    /// Login.
    pub login: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Contact address.
    pub email: Option<Option<String>>,
    /// Language.
    pub language: Option<Language>,
    /// Telephone.
    pub phone: Option<Option<String>>,
    /// Notification settings.
    pub notifications: NotificationChanges,
    /// Must change the password.
    pub must_change_password: Option<bool>,
    /// Master.
    pub is_master: Option<bool>,
    /// LDAP user.
    pub is_ldap: Option<bool>,
    /// All roles granted by hand.
    pub roles: Option<Vec<Option<RoleId>>>,
    /// All groups granted by hand.
    pub groups: Option<Vec<Option<GroupId>>>,
}

impl UserWrites<'_> {
    /// Makes a user.
    ///
    /// # Errors
    /// Problems with the input, all at once; those of the store.
    pub async fn create(&self, input: NewUser) -> Result<User> {
        let caller = self.caller;
        if input.password.is_some() {
            caller.principal().not_impersonating()?;
        }
        let account = caller.target_account(input.account).await?;
        let mut problems = Problems::default();
        let id = UserId::generate(caller.services.clock.as_ref(), caller.services.entropy.as_ref())?;
        let Some(login) = problems.text(&["login"], Login::parse(&input.login)) else {
            // Without a login there is nothing to check the rest against.
            problems.check()?;
            return Err(Problem::at(&["login"], ErrorCode::Required, "login must not be empty").into());
        };
        let blank = User::new(id, account.id, login, account.default_language, caller.now());
        let mut changes = UserChanges {
            first_name: Some(input.first_name),
            last_name: Some(input.last_name),
            email: Some(input.email),
            language: Some(input.language.unwrap_or(account.default_language)),
            phone: Some(input.phone),
            notifications: input.notifications,
            is_master: Some(input.is_master),
            is_ldap: Some(input.is_ldap),
            roles: Some(input.roles),
            groups: Some(input.groups),
            ..UserChanges::default()
        };
        self.guard_contacts(&blank, &mut changes, &mut problems);
        let mut user = self.apply(&account, &blank, changes, &mut problems).await?;
        if input.send_access_email {
            let checked = match caller.principal().not_impersonating() {
                Ok(()) => caller.services.check_takes_link(&account, &user),
                Err(denied) => Err(Problem::new(ErrorCode::NotAllowed, denied.to_string()).into()),
            };
            problems.note(&["sendAccessEmail"], checked)?;
        }
        if let Some(password) = &input.password {
            let services = &caller.services;
            services
                .check_new_password(&account, &user, password, &mut problems)
                .await?;
        }
        problems.check()?;

        let hash = match &input.password {
            Some(password) => Some(caller.services.hashes.hash(password).await?),
            None => None,
        };
        user.has_password = hash.is_some();
        user.password_changed_at = hash.as_ref().map(|_| user.created_at);
        user.must_change_password = hash.is_some() && input.must_change_password;
        let mut changes = caller.named(made(&user_fields(&user))).await?;
        changes.extend(hash.as_ref().map(|_| secret_changed("password")));
        let audit = caller.audit(action_on("createUser", &user, &account, changes))?;
        let mails = if input.send_access_email {
            caller.access_mail(&account, &user)?
        } else {
            Vec::new()
        };
        match caller.store().create_user(&user, hash.as_ref(), &audit, &mails).await {
            Ok(()) => {
                caller.services.post.announce(&mails);
                Ok(user)
            }
            Err(StoreError::Taken(Unique::UserLogin)) => Err(login_taken(&user, &account).into()),
            Err(StoreError::Taken(Unique::DirectoryLink)) => Err(entry_taken().into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes what is given of a user.
    ///
    /// # Errors
    /// Problems with the input, all at once; `Conflict` when the user is not at the given revision; those of the store.
    pub async fn update(&self, id: UserId, mut changes: UserChanges) -> Result<User> {
        let expected = changes.revision.take();
        loop {
            let (before, account) = self.writable(id).await?;
            expect("user", expected, before.revision)?;
            let mut problems = Problems::default();
            let mut changes = changes.clone();
            self.guard_contacts(&before, &mut changes, &mut problems);
            self.guard_ways_in(&before, &mut changes, &mut problems).await?;
            let after = self.apply(&account, &before, changes, &mut problems).await?;
            problems.check()?;
            // Somebody else may change the user in between: with a revision that is the caller's to resolve, without one
            // the same changes go onto what is there then, and are checked against it.
            if let Some(user) = self.replace(&before, after, &account, "updateUser").await? {
                return Ok(user);
            }
        }
    }

    /// Takes away, and notes, what nobody changes in somebody else's name: where mail goes.
    pub(super) fn guard_contacts(&self, before: &User, changes: &mut UserChanges, problems: &mut Problems) {
        let Err(denied) = self.caller.principal().not_impersonating() else {
            return;
        };
        let mut guard = |change: &mut Option<Option<String>>, before: Option<&Email>, path: &[&str]| {
            if changed(change, before) {
                problems.push(Problem::at(path, ErrorCode::NotAllowed, denied.to_string()));
            }
            *change = None;
        };
        guard(&mut changes.email, before.email.as_ref(), &["email"]);
        let alerts = before.notifications.email.as_ref();
        guard(&mut changes.notifications.email, alerts, &["notifications", "email"]);
        // Whose password counts, and whether it must be changed, is about the password too.
        let mut guard = |change: &mut Option<bool>, before: bool, path: &str| {
            if change.is_some_and(|given| given != before) {
                problems.push(Problem::at(&[path], ErrorCode::NotAllowed, denied.to_string()));
                *change = None;
            }
        };
        guard(&mut changes.is_ldap, before.is_ldap, "isLdap");
        guard(
            &mut changes.must_change_password,
            before.must_change_password,
            "mustChangePassword",
        );
    }

    /// Takes away, and notes, what would let the caller in as a user who holds more: a link to set a password goes to the
    /// mail address, a freed login can be made again, and whoever has the login in the directory signs in as an LDAP user.
    async fn guard_ways_in(&self, before: &User, changes: &mut UserChanges, problems: &mut Problems) -> Result<()> {
        let renames = |login: &String| Login::parse(login).map_or(true, |login| login != before.login);
        let renamed = changes.login.as_ref().is_some_and(renames);
        let readdressed = changed(&changes.email, before.email.as_ref());
        let reassigned = changes.is_ldap.is_some_and(|is_ldap| is_ldap != before.is_ldap);
        if !renamed && !readdressed && !reassigned {
            return Ok(());
        }
        let Some(message) = self.above(before).await? else {
            return Ok(());
        };
        if renamed {
            changes.login = None;
            problems.push(Problem::at(&["login"], ErrorCode::NotAllowed, message.clone()));
        }
        if reassigned {
            changes.is_ldap = None;
            problems.push(Problem::at(&["isLdap"], ErrorCode::NotAllowed, message.clone()));
        }
        if readdressed {
            changes.email = None;
            problems.push(Problem::at(&["email"], ErrorCode::NotAllowed, message));
        }
        Ok(())
    }

    /// The user with the changes, as far as they hold; what does not is noted.
    pub(super) async fn apply(
        &self,
        account: &Account,
        before: &User,
        changes: UserChanges,
        problems: &mut Problems,
    ) -> Result<User> {
        let mut user = before.clone();
        if let Some(login) = changes.login.and_then(|l| problems.text(&["login"], Login::parse(&l))) {
            user.login = login;
        }
        if let Some(name) = changes
            .first_name
            .and_then(|n| problems.text(&["firstName"], line(&n, User::MAX_NAME)))
        {
            user.first_name = name;
        }
        if let Some(name) = changes
            .last_name
            .and_then(|n| problems.text(&["lastName"], line(&n, User::MAX_NAME)))
        {
            user.last_name = name;
        }
        match changes.email {
            Some(Some(text)) => user.email = problems.text(&["email"], Email::parse(&text)),
            Some(None) => user.email = None,
            None => {}
        }
        match changes.phone {
            Some(Some(text)) => user.phone = problems.text(&["phone"], phone(&text)),
            Some(None) => user.phone = None,
            None => {}
        }
        user.language = changes.language.unwrap_or(user.language);
        notify(&mut user.notifications, changes.notifications, problems);
        user.must_change_password = changes.must_change_password.unwrap_or(user.must_change_password);
        if let Some(is_ldap) = changes.is_ldap {
            if is_ldap && !before.is_ldap && account.directory.is_none() {
                let message = format!("The account {} has no directory to sign in with.", account.name);
                problems.push(Problem::at(&["isLdap"], ErrorCode::LdapOff, message));
            }
            user.is_ldap = is_ldap;
        }
        if user.is_ldap && changes.must_change_password == Some(true) {
            let message = "An LDAP user's password is changed in the directory.";
            problems.push(Problem::at(&["mustChangePassword"], ErrorCode::IsLdap, message));
        }
        if user.is_ldap {
            // Whose password it is not, nothing is to be changed about it here.
            user.has_password = false;
            user.must_change_password = false;
        }
        if before.is_ldap && !user.is_ldap {
            // What the directory said of them, and gave them, goes with it.
            (user.directory_link, user.password_expires_at) = (None, None);
            let main = self.caller.store().main_group(account.id).await?;
            let now = self.caller.now();
            user.keep_grants(|g| g.source != GrantSource::Directory, main.map(|main| main.id), now);
        }
        if let Some(is_master) = changes.is_master {
            self.set_master(account, &mut user, is_master, problems);
        }
        if let Some(roles) = changes.roles {
            self.set_roles(account, &mut user, &roles, problems).await?;
        }
        if let Some(groups) = changes.groups {
            self.set_groups(account, &mut user, &groups, problems).await?;
        }
        Ok(user)
    }

    fn set_master(&self, account: &Account, user: &mut User, is_master: bool, problems: &mut Problems) {
        let by_hand = |g: &Grant| g.target == GrantTarget::Master && g.source != GrantSource::Directory;
        let has = user.grants.iter().any(by_hand);
        if has == is_master {
            return;
        }
        if !self.caller.principal().may_touch_masters(account.id) {
            problems.push(Problem::at(
                &["isMaster"],
                ErrorCode::NotAllowed,
                "Only a master user makes a master user.",
            ));
        } else if is_master {
            user.grants.push(self.grant(GrantTarget::Master, GrantSource::Manual));
        } else {
            user.grants.retain(|g| !by_hand(g));
        }
    }

    async fn set_roles(
        &self,
        account: &Account,
        user: &mut User,
        roles: &[Option<RoleId>],
        problems: &mut Problems,
    ) -> Result<()> {
        let caller = self.caller;
        if too_many("roles", roles.len(), problems) {
            return Ok(());
        }
        let wanted: Vec<RoleId> = roles.iter().flatten().copied().collect();
        let mut found = if wanted.is_empty() {
            Vec::new()
        } else {
            caller.store().roles_by_ids(&wanted).await?
        };
        found.retain(|r| r.account == account.id);
        let held = user.roles();
        for (i, id) in roles.iter().enumerate() {
            let path = ["roles", &index(i)];
            match id.and_then(|id| found.iter().find(|r| r.id == id)) {
                None => problems.push(Problem::at(&path, ErrorCode::NotFound, "There is no such role.")),
                Some(role) if held.contains(&role.id) => {}
                Some(role) => {
                    if let Some(missing) = caller.principal().first_not_held(account.id, &role.permissions) {
                        let message = format!("The role {} holds {missing}, which you do not hold.", role.name);
                        problems.push(Problem::at(&path, ErrorCode::NotAllowed, message));
                    }
                }
            }
        }
        let targets = found.iter().map(|r| GrantTarget::Role(r.id)).collect();
        self.set_grants(
            user,
            targets,
            |t| matches!(t, GrantTarget::Role(_)),
            GrantSource::Manual,
        );
        Ok(())
    }

    async fn set_groups(
        &self,
        account: &Account,
        user: &mut User,
        groups: &[Option<GroupId>],
        problems: &mut Problems,
    ) -> Result<()> {
        let caller = self.caller;
        if too_many("groups", groups.len(), problems) {
            return Ok(());
        }
        let wanted: Vec<GroupId> = groups.iter().flatten().copied().collect();
        let mut found = if wanted.is_empty() {
            Vec::new()
        } else {
            caller.store().groups_by_ids(&wanted).await?
        };
        found.retain(|g| g.account == account.id);
        for (i, id) in groups.iter().enumerate() {
            if !id.is_some_and(|id| found.iter().any(|g| g.id == id)) {
                problems.push(Problem::at(
                    &["groups", &index(i)],
                    ErrorCode::NotFound,
                    "There is no such group.",
                ));
            }
        }
        let mut source = GrantSource::Manual;
        let mut targets: Vec<GrantTarget> = found.iter().map(|g| GrantTarget::Group(g.id)).collect();
        let by_directory = |g: &Grant| g.source == GrantSource::Directory && matches!(g.target, GrantTarget::Group(_));
        if targets.is_empty() && !user.grants.iter().any(by_directory) {
            // Nobody is in no group at all: whoever has no other is in Main.
            source = GrantSource::Default;
            targets.extend(
                caller
                    .store()
                    .main_group(account.id)
                    .await?
                    .map(|g| GrantTarget::Group(g.id)),
            );
        }
        self.set_grants(user, targets, |t| matches!(t, GrantTarget::Group(_)), source);
        Ok(())
    }

    /// Makes the grants of one kind that did not come from the directory these, keeping those that are already there.
    fn set_grants(
        &self,
        user: &mut User,
        targets: Vec<GrantTarget>,
        kind: impl Fn(GrantTarget) -> bool,
        source: GrantSource,
    ) {
        user.grants
            .retain(|g| !kind(g.target) || g.source == GrantSource::Directory || targets.contains(&g.target));
        for target in targets {
            if !user.grants.iter().any(|g| g.target == target) {
                user.grants.push(self.grant(target, source));
            }
        }
    }

    fn grant(&self, target: GrantTarget, source: GrantSource) -> Grant {
        Grant {
            target,
            source,
            directory_group_dn: None,
            granted_by: self.caller.principal().user(),
            granted_at: self.caller.now(),
        }
    }
}

/// Does the change give another address than the one that is there?
fn changed(change: &Option<Option<String>>, before: Option<&Email>) -> bool {
    let given = change.as_ref().map(|c| c.as_deref().map(str::trim));
    given.is_some_and(|given| given != before.map(Email::as_str))
}

fn too_many(field: &str, count: usize, problems: &mut Problems) -> bool {
    if count <= User::MAX_GRANTS {
        return false;
    }
    let message = format!("{field} holds {count} ids; {} is the most", User::MAX_GRANTS);
    problems.push(Problem::at(&[field], ErrorCode::TooLong, message));
    true
}

fn notify(settings: &mut Notifications, changes: NotificationChanges, problems: &mut Problems) {
    match changes.email {
        Some(Some(text)) => settings.email = problems.text(&["notifications", "email"], Email::parse(&text)),
        Some(None) => settings.email = None,
        None => {}
    }
    for (setting, change) in [
        (&mut settings.limits_exhausted, changes.limits_exhausted),
        (&mut settings.subscriber_complaints, changes.subscriber_complaints),
        (&mut settings.hard_bounces, changes.hard_bounces),
        (&mut settings.soft_bounces, changes.soft_bounces),
        (&mut settings.daily_reports, changes.daily_reports),
        (&mut settings.weekly_reports, changes.weekly_reports),
        (&mut settings.security_notices, changes.security_notices),
    ] {
        *setting = change.unwrap_or(*setting);
    }
}
