//! The permission matrix: every query and mutation, asked by everybody. The table is the test.
//!
//! Each cell has objects and an asker of its own, so that none sees what another did.

use doorward::config::MailServer;
use doorward::domain::account::Account;
use doorward::domain::ids::MailId;
use doorward::domain::mail::{Mail, MailContent, MailState, Matter, Reader};
use doorward::domain::role::Permission;
use doorward::domain::user::User;
use doorward::graphql::node_id;
use doorward::service::{AccountInput, NewUser};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores};

/// Who asks. All but `Foreign`, `Operator` and `SystemToken` belong to the account that everything asked for belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    /// A user without any permission.
    Plain,
    /// A user with exactly the row's permission.
    Holder,
    /// A master user of the account.
    Master,
    /// A master user of another account.
    Foreign,
    /// A master user of `system`.
    Operator,
    /// An API token with exactly the row's permission.
    Token,
    /// A master user of the account who must change the password first.
    MustChange,
    /// An operator who acts for a master user of the account, with leave to look.
    Looking,
    /// The same, with leave to change.
    Acting,
    /// An API token of `system` with exactly the row's permission.
    SystemToken,
    /// A user with every permission of Doorward's own but the row's.
    Others,
}

impl Who {
    const ALL: [Self; 12] = [
        Self::Nobody,
        Self::Plain,
        Self::Holder,
        Self::Master,
        Self::Foreign,
        Self::Operator,
        Self::Token,
        Self::MustChange,
        Self::Looking,
        Self::Acting,
        Self::SystemToken,
        Self::Others,
    ];

    fn expected(self, row: &Row) -> &'static str {
        let place = Self::ALL.iter().position(|who| *who == self).unwrap();
        row.expected.split_whitespace().nth(place).unwrap()
    }
}

/// One query or mutation.
struct Row {
    /// The field of `Query` or `Mutation`, and what is selected below it where that has rules of its own.
    field: &'static str,
    /// The permission that opens it; empty when none does.
    permission: &'static str,
    /// The document; `$user` and the like stand for fresh objects of the account.
    document: &'static str,
    /// What an answer contains in which the thing is seen; empty: any answer without an error will do.
    seen: &'static str,
    /// What becomes of it, for each of [`Who::ALL`]: Y seen or done; h it does not exist (null, an empty list, NOT_FOUND);
    /// n NOT_ALLOWED; U UNAUTHENTICATED; F FORBIDDEN, and with a reason: M MUST_CHANGE_PASSWORD, R READ_ONLY,
    /// I IMPERSONATING.
    expected: &'static str,
}

const fn row(
    field: &'static str,
    permission: &'static str,
    document: &'static str,
    seen: &'static str,
    expected: &'static str,
) -> Row {
    Row {
        field,
        permission,
        document,
        seen,
        expected,
    }
}

/// The columns are nobody, plain, holder, master, foreign, operator, token, must change, looking, acting,
/// system token, others.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // reading
    row("viewer", "", "{ viewer { account { id } } }", "\"account\":{", "h Y Y Y Y Y Y M Y Y Y Y"),
    row("viewer.user", "", "{ viewer { user { id login mustChangePassword } } }", "\"user\":{", "h Y Y Y Y Y h Y Y Y h Y"),
    row("node", "users:read", "{ node(id: \"$user\") { id } }", "$user", "U h Y Y h Y Y M Y Y h Y"),
    row("nodes", "users:read", "{ nodes(ids: [\"$user\"]) { id } }", "$user", "U h Y Y h Y Y M Y Y h Y"),
    row("node(role)", "", "{ node(id: \"$role\") { id } }", "$role", "U Y Y Y h Y Y M Y Y h Y"),
    row("node(group)", "", "{ node(id: \"$group\") { id } }", "$group", "U Y Y Y h Y Y M Y Y h Y"),
    row("node(session)", "users:write", "{ node(id: \"$session\") { id } }", "$session", "U h Y Y h Y Y M Y Y h h"),
    row("node(token)", "tokens:write", "{ node(id: \"$token\") { id } }", "$token", "U h Y Y h Y Y M Y Y h h"),
    row("account", "", "{ account(id: \"$account\") { id } }", "$account", "U Y Y Y h Y Y M Y Y h Y"),
    row("accounts", "", "{ accounts { nodes { id } } }", "$account", "U F F F F Y F M F F F F"),
    row("user", "users:read", "{ user(id: \"$user\") { id } }", "$user", "U h Y Y h Y Y M Y Y h Y"),
    row("user(login)", "users:read", "{ user(login: \"$login@$name\") { id } }", "$user", "U h Y Y h Y Y M Y Y h Y"),
    row("users", "users:read", "{ users(filter: {login: \"$login\"}) { nodes { id } } }", "$user", "U h Y Y h Y Y M Y Y h h"),
    row("users(writer)", "users:write", "{ users(filter: {login: \"$login\"}) { nodes { id } } }", "$user", "U h h Y h Y h M Y Y h Y"),
    row("user.lastLogin", "history:read", "{ node(id: \"$user\") { id ... on User { lastLogin { outcome } loginHistory { totalCount } } } }", "$user", "U h h Y h Y h M Y Y h F"),
    row("role.users", "users:read", "{ node(id: \"$role\") { id ... on Role { users { totalCount } } } }", "\"totalCount\":0", "U Y Y Y h Y Y M Y Y h Y"),
    row("users(totalCount)", "users:read", "{ users(filter: {login: \"$login\"}) { totalCount } }", "\"totalCount\":1", "U h Y Y h Y Y M Y Y h h"),
    row("user.sessions", "users:write", "{ user(id: \"$user\") { sessions { id } } }", "$session", "U h Y Y h Y Y M Y Y h F"),
    row("users.loginHistory", "history:read", "{ account(id: \"$account\") { loginHistory(filter: {user: \"$user\"}) { nodes { attemptedLogin } } } }", "$login@$name", "U h Y Y h Y Y M Y Y h h"),
    row("roles", "", "{ roles(filter: {search: \"$rolename\"}) { nodes { id } } }", "$role", "U Y Y Y h Y Y M Y Y h Y"),
    row("groups", "", "{ groups(filter: {search: \"$groupname\"}) { nodes { id } } }", "$group", "U Y Y Y h Y Y M Y Y h Y"),
    row("loginHistory", "history:read", "{ loginHistory(filter: {user: \"$user\"}) { nodes { attemptedLogin } } }", "$login@$name", "U h Y Y h Y Y M Y Y h h"),
    row("auditLog", "audit:read", "{ auditLog(filter: {targetId: \"$user\"}) { nodes { targetId } } }", "$user", "U F Y Y h Y Y M Y Y h F"),
    row("directories", "", "{ directories { name } }", "\"name\":\"corp\"", "U F F Y h Y F M Y Y F F"),
    row("explainLogin", "", "{ explainLogin(login: \"$login@$name\") { wouldSucceed } }", "\"explainLogin\":{", "U F F Y h Y F M Y Y F F"),
    row("apiTokens", "tokens:write", "{ apiTokens(account: \"$account\") { id } }", "$token", "U F Y Y h Y Y M Y Y h F"),
    row("account.apiTokens", "tokens:write", "{ account(id: \"$account\") { apiTokens { id } } }", "$token", "U F Y Y h Y Y M Y Y h F"),
    row("account.auditLog", "audit:read", "{ account(id: \"$account\") { auditLog(filter: {targetId: \"$user\"}) { nodes { targetId } } } }", "$user", "U F Y Y h Y Y M Y Y h F"),
    row("mailQueue", "", "{ mailQueue(filter: {to: \"$login@example.org\"}) { nodes { id } } }", "$mail", "U F F F F Y F M F F F F"),
    row("node(mail)", "", "{ node(id: \"$mail\") { id } }", "$mail", "U h h h h Y h M h h h h"),
    row("account.loginStats", "history:read", "{ account(id: \"$account\") { loginStats(from: \"2026-01-01T00:00:00Z\", to: \"2026-01-02T00:00:00Z\", bucket: DAY) { start } } }", "\"start\"", "U F Y Y h Y Y M Y Y h F"),

    // signing in
    row("signIn", "", "mutation { signIn(input: {login: \"$login@$name\", password: \"$password\"}) { user { id } userErrors { code } } }", "", "Y Y Y Y Y Y Y Y Y Y Y Y"),
    row("requestPasswordReset", "", "mutation { requestPasswordReset(input: {login: \"$login@$name\"}) { accepted userErrors { code } } }", "\"accepted\":true", "Y Y Y Y Y Y Y M Y Y Y Y"),
    row("resetPassword", "", "mutation { resetPassword(input: {token: \"none\", newPassword: \"violet-Anchor-38-meadow\"}) { user { id } userErrors { code } } }", "", "Y Y Y Y Y Y Y M Y Y Y Y"),
    row("signOut", "", "mutation { signOut { done userErrors { code } } }", "", "U Y Y Y Y Y F Y Y Y F Y"),
    row("changePassword", "", "mutation { changePassword(input: {currentPassword: \"$password\", newPassword: \"violet-Anchor-38-meadow\"}) { user { id } userErrors { code } } }", "", "U Y Y Y Y Y F Y I I F Y"),
    row("revokeSession", "users:write", "mutation { revokeSession(input: {id: \"$session\"}) { session { id } userErrors { code } } }", "", "U h Y Y h Y Y M R Y h h"),
    row("revokeAllSessions", "users:write", "mutation { revokeAllSessions(input: {user: \"$user\"}) { revoked userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("impersonateUser", "", "mutation { impersonateUser(input: {id: \"$user\", reason: \"x\"}) { token userErrors { code } } }", "", "U F F Y h Y F M I I F F"),
    row("stopImpersonating", "", "mutation { stopImpersonating { token userErrors { code } } }", "", "U n n n n n F M Y Y F n"),

    // users
    row("createUser", "users:write", "mutation { createUser(input: {account: \"$account\", login: \"$fresh\"}) { user { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("updateUser", "users:write", "mutation { updateUser(input: {id: \"$user\", firstName: \"Ann\"}) { user { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("deleteUser", "users:write", "mutation { deleteUser(input: {id: \"$user\"}) { deletedId userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("disableUser", "users:write", "mutation { disableUser(input: {id: \"$user\"}) { user { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("enableUser", "users:write", "mutation { enableUser(input: {id: \"$user\"}) { user { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("unlockUser", "users:write", "mutation { unlockUser(input: {id: \"$user\"}) { user { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("setUserPassword", "users:write", "mutation { setUserPassword(input: {id: \"$user\", password: \"violet-Anchor-38-meadow\"}) { user { id } userErrors { code } } }", "", "U F Y Y h Y Y M R I h F"),
    row("sendAccessEmail", "users:write", "mutation { sendAccessEmail(input: {id: \"$user\"}) { user { id } userErrors { code } } }", "$user", "U F Y Y h Y Y M R I h F"),
    row("updateMyProfile", "", "mutation { updateMyProfile(input: {firstName: \"Ann\"}) { user { id } userErrors { code } } }", "", "U Y Y Y Y Y F M R Y F Y"),
    row("setAvatar", "users:write", "mutation { setAvatar(input: {id: \"$user\", image: null}) { user { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("setAvatar(own)", "", "mutation { setAvatar(input: {image: null}) { user { id } userErrors { code } } }", "", "U Y Y Y Y Y F M R Y F Y"),

    // access
    row("createRole", "roles:write", "mutation { createRole(input: {account: \"$account\", name: \"$fresh\", permissions: []}) { role { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("updateRole", "roles:write", "mutation { updateRole(input: {id: \"$role\", description: \"x\"}) { role { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("deleteRole", "roles:write", "mutation { deleteRole(input: {id: \"$role\"}) { deletedId userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("createGroup", "groups:write", "mutation { createGroup(input: {account: \"$account\", name: \"$fresh\"}) { group { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("updateGroup", "groups:write", "mutation { updateGroup(input: {id: \"$group\", description: \"x\"}) { group { id } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("deleteGroup", "groups:write", "mutation { deleteGroup(input: {id: \"$group\"}) { deletedId userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),
    row("createApiToken", "tokens:write", "mutation { createApiToken(input: {account: \"$account\", name: \"$fresh\", roles: []}) { apiToken { id } userErrors { code } } }", "", "U F Y Y h Y Y M R I h F"),
    row("revokeApiToken", "tokens:write", "mutation { revokeApiToken(input: {id: \"$token\"}) { apiToken { id } userErrors { code } } }", "", "U F Y Y h Y Y M R I h F"),

    // accounts
    row("createAccount", "", "mutation { createAccount(input: {name: \"$fresh\"}) { account { id } userErrors { code } } }", "", "U F F F F Y F M R F F F"),
    row("updateAccount", "", "mutation { updateAccount(input: {id: \"$account\", title: \"x\"}) { account { id } userErrors { code } } }", "", "U F F Y h Y F M R Y F F"),
    row("freezeAccount", "", "mutation { freezeAccount(input: {id: \"$account\"}) { account { id } userErrors { code } } }", "", "U F F F F Y F M R F F F"),
    row("activateAccount", "", "mutation { activateAccount(input: {id: \"$account\"}) { account { id } userErrors { code } } }", "", "U F F F F Y F M R F F F"),
    row("deleteAccount", "", "mutation { deleteAccount(input: {id: \"$account\", confirmName: \"$name\"}) { deletedId userErrors { code } } }", "", "U F F F F Y F M R F F F"),

    // directories; that none answers is found out by who was let in only, and a local user has no entry there
    row("checkDirectory", "", "mutation { checkDirectory(input: {name: \"corp\"}) { explanation { wouldSucceed } userErrors { code } } }", "", "U F F Y h Y F M R Y F F"),
    row("relinkUser", "users:write", "mutation { relinkUser(input: {id: \"$user\"}) { user { id } userErrors { code } } }", "", "U F F n h n F M R I h F"),
    row("syncDirectory", "directory:sync", "mutation { syncDirectory(input: {account: \"$account\"}) { report { added } userErrors { code } } }", "", "U F Y Y h Y Y M R Y h F"),

    // mail
    row("publishAlert", "alerts:publish", "mutation { publishAlert(input: {account: \"$account\", kind: HARD_BOUNCES, subject: \"x\", body: \"y\"}) { recipients userErrors { code } } }", "\"recipients\":", "U F Y Y h Y Y M R Y h F"),
    row("retryMail", "", "mutation { retryMail(input: {id: \"$mail\"}) { mail { id } userErrors { code } } }", "$mail", "U F F F F Y F M F F F F"),
    row("dropMail", "", "mutation { dropMail(input: {id: \"$mail\"}) { mail { id } userErrors { code } } }", "$mail", "U F F F F Y F M F F F F"),
];

on_both_stores!(
    nobody,
    plain,
    holder,
    master,
    foreign,
    operator,
    token,
    must_change,
    looking,
    acting,
    system_token,
    others,
);

async fn nobody(backend: Backend) {
    column(backend, Who::Nobody).await;
}

async fn plain(backend: Backend) {
    column(backend, Who::Plain).await;
}

async fn holder(backend: Backend) {
    column(backend, Who::Holder).await;
}

async fn master(backend: Backend) {
    column(backend, Who::Master).await;
}

async fn foreign(backend: Backend) {
    column(backend, Who::Foreign).await;
}

async fn operator(backend: Backend) {
    column(backend, Who::Operator).await;
}

async fn token(backend: Backend) {
    column(backend, Who::Token).await;
}

async fn must_change(backend: Backend) {
    column(backend, Who::MustChange).await;
}

async fn looking(backend: Backend) {
    column(backend, Who::Looking).await;
}

async fn acting(backend: Backend) {
    column(backend, Who::Acting).await;
}

async fn system_token(backend: Backend) {
    column(backend, Who::SystemToken).await;
}

async fn others(backend: Backend) {
    column(backend, Who::Others).await;
}

/// Every row, asked by one of them.
async fn column(backend: Backend, who: Who) {
    let gateway = Gateway::start_with(backend, |config| {
        let away = json!({ "servers": ["ldap://127.0.0.1:1"], "allow_plaintext": true, "base": ["dc=example,dc=org"] });
        config
            .directories
            .insert("corp".to_owned(), serde_json::from_value(away).unwrap());
        // Mail is on, and its server away: what is queued stays.
        config.mail.server = Some(MailServer::parse("smtp://127.0.0.1:1?tls=none").unwrap());
    })
    .await;
    let mut wrong = Vec::new();
    for (number, row) in TABLE.iter().enumerate() {
        let cell = Cell::new(&gateway, number).await;
        let asker = cell.asker(who, row.permission).await;
        let mut texts = [row.document.to_owned(), row.seen.to_owned()];
        cell.fill(&mut texts).await;
        let [document, seen] = texts;
        let answer = asker.ask(&document, json!({})).await;
        let (found, expected) = (classify(&answer, &seen), who.expected(row));
        if found != expected {
            wrong.push(format!(
                "{}: {found}, not {expected}\n    {document}\n    {answer}",
                row.field
            ));
        }
    }
    assert!(wrong.is_empty(), "{who:?}\n{}", wrong.join("\n"));
}

/// What became of it, in the table's letters.
fn classify(answer: &Value, seen: &str) -> String {
    if let Some(error) = answer["errors"].get(0) {
        let extensions = &error["extensions"];
        let code = extensions["code"].as_str().unwrap_or_default();
        let letter = match (code, extensions["reason"].as_str()) {
            ("UNAUTHENTICATED", _) => "U",
            ("FORBIDDEN", None) => "F",
            ("FORBIDDEN", Some("MUST_CHANGE_PASSWORD")) => "M",
            ("FORBIDDEN", Some("READ_ONLY")) => "R",
            ("FORBIDDEN", Some("IMPERSONATING")) => "I",
            _ => code,
        };
        return letter.to_owned();
    }
    let payload = answer["data"].as_object().and_then(|data| data.values().next());
    if let Some(error) = payload.and_then(|p| p.get("userErrors")?.get(0)) {
        let code = error["code"].as_str().unwrap_or_default();
        let letter = match code {
            "NOT_FOUND" => "h",
            "NOT_ALLOWED" => "n",
            // Both are found out by who was let in only.
            "DIRECTORY_UNAVAILABLE" | "EXPIRED_LINK" => "Y",
            _ => code,
        };
        return letter.to_owned();
    }
    let is_there = seen.is_empty() || answer["data"].to_string().contains(seen);
    if is_there { "Y" } else { "h" }.to_owned()
}

/// The objects of one cell: an account of its own with a user.
struct Cell<'a> {
    gateway: &'a Gateway,
    account: Account,
    user: User,
}

impl<'a> Cell<'a> {
    async fn new(gateway: &'a Gateway, number: usize) -> Self {
        let corp = |account: &mut AccountInput| account.directory = Some("corp".to_owned());
        let account = gateway.account_with(&format!("acme-{number}"), corp).await;
        let login = format!("target-{number}");
        let with_address = |new: &mut NewUser| new.email = Some(format!("{login}@example.org"));
        let user = gateway.user_with(&account, &login, with_address).await;
        Self { gateway, account, user }
    }

    /// Puts the objects that the texts name into them, and makes those that take making.
    async fn fill(&self, texts: &mut [String; 2]) {
        let (gateway, account) = (self.gateway, &self.account);
        let named = |word: &str| texts.iter().any(|text| text.contains(word));
        let mut values = vec![
            ("$account", node_id::encode(account.id).to_string()),
            ("$name", account.name.to_string()),
            ("$login", self.user.login.to_string()),
            ("$password", PASSWORD.to_owned()),
            ("$fresh", "fresh".to_owned()),
            ("$user", node_id::encode(self.user.id).to_string()),
        ];
        if named("$role") {
            let role = gateway.role(account, "Rolle", &[]).await;
            values.push(("$rolename", "Rolle".to_owned()));
            values.push(("$role", node_id::encode(role).to_string()));
        }
        if named("$group") {
            let group = gateway.group(account, "Gruppe").await;
            values.push(("$groupname", "Gruppe".to_owned()));
            values.push(("$group", node_id::encode(group).to_string()));
        }
        if named("$session") || named("$login@$name") {
            let login = format!("{}@{}", self.user.login, account.name);
            let payload = gateway.try_sign_in(&login, PASSWORD).await;
            values.push(("$session", payload["session"]["id"].as_str().unwrap().to_owned()));
        }
        if named("$token") {
            let (id, _) = self.token(&self.account, "target", &[]).await;
            values.push(("$token", id));
        }
        if named("$mail") {
            values.push(("$mail", node_id::encode(self.mail().await).to_string()));
        }
        // Longer names first: `$rolename` begins with `$role`.
        values.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for text in texts {
            for (name, value) in &values {
                *text = text.replace(name, value);
            }
        }
    }

    /// A mail to the user that waits, so long that the outbox never takes it in hand.
    async fn mail(&self) -> MailId {
        let (services, now) = (&self.gateway.services, self.gateway.now());
        let id = MailId::generate(services.clock.as_ref(), services.entropy.as_ref()).unwrap();
        let content = MailContent {
            reader: Reader {
                first_name: String::new(),
                last_name: String::new(),
                login: format!("{}@{}", self.user.login, self.account.name),
                account_title: self.account.title.clone(),
                time_zone: self.account.time_zone.clone(),
            },
            matter: Matter::PasswordExpires { at: now, days: 1 },
        };
        let mail = Mail {
            id,
            account: self.account.id,
            user: self.user.id,
            to: self.user.email.clone().unwrap(),
            language: self.user.language,
            subject: "Your password expires".to_owned(),
            content,
            key: None,
            state: MailState::Queued,
            attempts: 0,
            last_error: None,
            created_at: now,
            next_attempt_at: Some(now.checked_add(SignedDuration::from_hours(24)).unwrap()),
            sent_at: None,
        };
        services.store.queue_mails(&[mail], None).await.unwrap();
        id
    }

    /// An API token of that account: its id and its secret.
    async fn token(&self, account: &Account, name: &str, permissions: &[&str]) -> (String, String) {
        let name = format!("{name}-of-{}", self.account.name);
        let roles = match permissions {
            [] => Vec::new(),
            held => vec![self.gateway.role(account, &name, held).await],
        };
        let master = self.sign_in_master(&format!("minter-of-{name}"), account, false).await;
        let roles: Vec<String> = roles.iter().map(|id| node_id::encode(*id).to_string()).collect();
        let input = json!({ "name": name, "roles": roles });
        let payload = master.mutate("createApiToken", input, "secret apiToken { id }").await;
        let text = |v: &Value| v.as_str().unwrap_or_else(|| panic!("{payload:#}")).to_owned();
        (text(&payload["apiToken"]["id"]), text(&payload["secret"]))
    }

    async fn sign_in_master(&self, login: &str, account: &Account, must_change: bool) -> Asker<'a> {
        let login = format!("{login}-{}", self.user.login);
        let new = self.gateway.user_with(account, &login, |new| {
            (new.is_master, new.must_change_password) = (true, must_change);
        });
        new.await;
        self.gateway.sign_in(&format!("{login}@{}", account.name)).await
    }

    async fn sign_in_user(&self, permissions: &[&str]) -> Asker<'a> {
        let roles = match permissions {
            [] => Vec::new(),
            held => vec![Some(self.gateway.role(&self.account, "Holder", held).await)],
        };
        let asker = self.gateway.user_with(&self.account, "asker", |new| new.roles = roles);
        asker.await;
        self.gateway.sign_in(&format!("asker@{}", self.account.name)).await
    }

    /// An operator who acts for a master user of the account.
    async fn sign_in_impersonator(&self, read_only: bool) -> Asker<'a> {
        let gateway = self.gateway;
        let new = gateway.user_with(&self.account, "master", |new| new.is_master = true);
        let master = node_id::encode(new.await.id).to_string();
        let operator = self.sign_in_master("operator", &gateway.system().await, false).await;
        let input = json!({ "id": master, "reason": "x", "readOnly": read_only });
        let payload = operator.mutate("impersonateUser", input, "token").await;
        gateway.with_token(payload["token"].as_str().unwrap())
    }

    async fn asker(&self, who: Who, permission: &str) -> Asker<'a> {
        let gateway = self.gateway;
        let (exactly, others): (Vec<&str>, Vec<&str>) = Permission::OWN.into_iter().partition(|own| *own == permission);
        match who {
            Who::Nobody => gateway.nobody(),
            Who::Plain => self.sign_in_user(&[]).await,
            Who::Holder => self.sign_in_user(&exactly).await,
            Who::Others => self.sign_in_user(&others).await,
            Who::Master => self.sign_in_master("master", &self.account, false).await,
            Who::Foreign => {
                let account = gateway.account(&format!("foreign-{}", self.account.name)).await;
                self.sign_in_master("foreign", &account, false).await
            }
            Who::Operator => self.sign_in_master("operator", &gateway.system().await, false).await,
            Who::Token => gateway.with_token(&self.token(&self.account, "asker", &exactly).await.1),
            Who::SystemToken => {
                let (_, secret) = self.token(&gateway.system().await, "asker", &exactly).await;
                gateway.with_token(&secret)
            }
            Who::MustChange => self.sign_in_master("must-change", &self.account, true).await,
            Who::Looking => self.sign_in_impersonator(true).await,
            Who::Acting => self.sign_in_impersonator(false).await,
        }
    }
}

/// Nothing is left out: whatever the schema gets has to come into the table.
#[tokio::test]
async fn the_table_has_every_query_and_mutation() {
    let gateway = Gateway::start(Backend::Sqlite).await;
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
    let schema = gateway.nobody().data(query).await;
    let of = |root: &str| schema["__schema"][root]["fields"].as_array().unwrap().clone();
    let missing: Vec<Value> = of("queryType")
        .into_iter()
        .chain(of("mutationType"))
        .map(|field| field["name"].clone())
        .filter(|name| !TABLE.iter().any(|row| name == row.field))
        .collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    for row in TABLE {
        let columns = row.expected.split_whitespace().count();
        assert_eq!(columns, Who::ALL.len(), "{}", row.field);
    }
}
