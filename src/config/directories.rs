//! `[directories.NAME]`: how one LDAP directory is reached, searched and read.
//!
//! Deserialising checks names and types; [`DirectoryConfig::validate`] checks what the values mean together.

mod validation;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// Stands for the submitted login in `filter`, `user_dn` and `groups.filter`.
pub const LOGIN: &str = "{login}";
/// Stands for the DN of the person in `groups.filter`.
pub const DN: &str = "{dn}";

/// One directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryConfig {
    /// `ldap://` or `ldaps://` URLs, tried in this order; the healthy one is kept.
    pub servers: Vec<String>,
    /// Upgrade every `ldap://` connection by StartTLS before anything else is said (RFC 4511, 4.14).
    #[serde(default)]
    pub start_tls: bool,
    /// Permit `ldap://` without StartTLS: passwords then cross the network in clear.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// PEM file of the certificate authorities to trust instead of the system's.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate chain that Doorward shows to the servers.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub client_certificate: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub client_key: Option<PathBuf>,
    /// The service account that searches; without one the search is anonymous.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub bind_dn: Option<String>,
    /// The service account's password.
    #[serde(default)]
    pub bind_password: Option<SecretString>,
    /// A file with the service account's password; a line break at its end is not part of it.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub bind_password_file: Option<PathBuf>,
    /// Where people are, as DNs.
    pub base: Vec<String>,
    /// Which entry is the person (RFC 4515), with `{login}` for the login.
    #[serde(default = "default_filter")]
    pub filter: String,
    /// Bind straight as this name instead of searching first: a DN template when it contains `=`, otherwise a user
    /// principal name (`{login}@corp.example`, `CORP\{login}`).
    #[serde(default, deserialize_with = "empty_is_none")]
    pub user_dn: Option<String>,
    /// For one server's connect, TLS and answer.
    #[serde(default = "default_timeout", with = "humantime_serde")]
    pub timeout: Duration,
    /// How often people who are signed in are looked up again.
    #[serde(default = "default_recheck", with = "humantime_serde")]
    pub recheck: Duration,
    /// How long their sessions live on while the directory is away.
    #[serde(default = "default_outage_grace", with = "humantime_serde")]
    pub outage_grace: Duration,
    /// Failed binds for a login within `failure_window` after which no further one is made; 0: off.
    #[serde(default = "default_max_failures")]
    pub max_failures: u32,
    /// See `max_failures`.
    #[serde(default = "default_failure_window", with = "humantime_serde")]
    pub failure_window: Duration,
    /// No refusal is answered earlier than this, so that its time tells nothing; at most 10 s. Where it is the longer of the
    /// two, it counts instead of `limits.min_refusal`.
    #[serde(default = "default_min_refusal", with = "humantime_serde")]
    pub min_refusal: Duration,
    /// What happens to people who are in the directory but not yet here.
    #[serde(default)]
    pub provision: Provision,
    /// Count the groups that a group is in as the person's own.
    #[serde(default = "default_true")]
    pub nested_groups: bool,
    /// Which attribute carries what.
    #[serde(default)]
    pub attributes: AttributeConfig,
    /// Where groups come from.
    #[serde(default)]
    pub groups: GroupConfig,
    /// What a group of the directory grants here.
    #[serde(default)]
    pub mappings: Vec<MappingConfig>,
}

/// What happens to people who are in the directory but not yet here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provision {
    /// Only people who were created here may sign in.
    #[default]
    Existing,
    /// A user is created at the first sign-in.
    JustInTime,
}

/// Names of attributes, in order of preference: the first one that an entry has wins.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttributeConfig {
    /// The directory's own, never reused id of the entry.
    pub id: Vec<String>,
    /// The login.
    pub login: Vec<String>,
    /// The given name.
    pub first_name: Vec<String>,
    /// The family name.
    pub last_name: Vec<String>,
    /// The mail address.
    pub email: Vec<String>,
    /// The telephone number.
    pub phone: Vec<String>,
    /// The picture.
    pub avatar: Vec<String>,
    /// The preferred language.
    pub language: Vec<String>,
}

impl Default for AttributeConfig {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Self {
            id: names(&["entryUUID", "objectGUID", "nsUniqueId"]),
            login: names(&["uid", "sAMAccountName"]),
            first_name: names(&["givenName"]),
            last_name: names(&["sn"]),
            email: names(&["mail", "userPrincipalName"]),
            phone: names(&["telephoneNumber", "mobile"]),
            avatar: names(&["jpegPhoto", "thumbnailPhoto"]),
            language: names(&["preferredLanguage"]),
        }
    }
}

/// Where groups come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupConfig {
    /// From the person's entry or from a search.
    pub from: GroupSource,
    /// Where groups are, as DNs; only for `from = "search"`.
    pub base: Vec<String>,
    /// Which entries are groups of the person, with `{dn}` and `{login}`; only for `from = "search"`.
    pub filter: String,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            from: GroupSource::default(),
            base: Vec::new(),
            filter: "(|(member={dn})(uniqueMember={dn})(memberUid={login}))".to_owned(),
        }
    }
}

/// Where the names of a person's groups are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupSource {
    /// The `memberOf` attribute of the person's entry.
    #[default]
    MemberOf,
    /// A search for groups that name the person.
    Search,
}

/// What one group of the directory grants.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingConfig {
    /// The group's DN, or `*` for everybody.
    pub group: String,
    /// The account this holds in; none: every account of this directory.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub account: Option<String>,
    /// Names of the roles it grants.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Names of the groups it puts people into.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether it makes people masters of the account.
    #[serde(default)]
    pub master: bool,
}

impl DirectoryConfig {
    /// The service account's password, from the value or from the file. Blocks on the file.
    ///
    /// # Errors
    /// A message naming the key and the file when it cannot be read or is empty.
    pub fn read_bind_password(&self, name: &str) -> Result<Option<SecretString>, String> {
        let Some(path) = &self.bind_password_file else {
            return Ok(self.bind_password.clone());
        };
        let key = format!("directories.{name}.bind_password_file");
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("{key}: {}: {e}; give a file that Doorward may read", path.display()))?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err(format!(
                "{key}: {}: the file is empty; put the password of bind_dn there",
                path.display()
            ));
        }
        Ok(Some(SecretString::from(password)))
    }
}

/// An empty text is the same as an absent key, so that a file can show every key with its default.
fn empty_is_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|t| !t.is_empty()).map(T::from))
}

fn default_filter() -> String {
    "(&(objectClass=inetOrgPerson)(uid={login}))".to_owned()
}

fn default_timeout() -> Duration {
    Duration::from_secs(3)
}

fn default_recheck() -> Duration {
    Duration::from_secs(5 * 60)
}

fn default_outage_grace() -> Duration {
    Duration::from_secs(8 * 60 * 60)
}

fn default_max_failures() -> u32 {
    3
}

fn default_failure_window() -> Duration {
    Duration::from_secs(30 * 60)
}

fn default_min_refusal() -> Duration {
    Duration::from_millis(250)
}

fn default_true() -> bool {
    true
}
