//! `[mail]`: the server that takes the gateway's messages.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use url::Url;

use super::problems::Problems;
use super::text::{optional_path, optional_secret, parsed};
use super::{DAY, MAX_DURATION};

const HOUR: Duration = Duration::from_secs(3600);

/// The `[mail]` section. `password_file` names a file that holds [`MailConfig::password`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// The server; none: mail is off.
    #[serde(rename = "url", deserialize_with = "server")]
    pub server: Option<MailServer>,
    /// The password of the server's user.
    #[serde(deserialize_with = "optional_secret")]
    pub password: Option<SecretString>,
    /// Whom messages come from.
    #[serde(deserialize_with = "mailbox")]
    pub from: Mailbox,
    /// PEM file of a private CA that the server's certificate is checked against.
    #[serde(deserialize_with = "optional_path")]
    pub ca_file: Option<PathBuf>,
    /// Folder with an operator's own templates and branding, in place of those that are built in.
    #[serde(deserialize_with = "optional_path")]
    pub templates: Option<PathBuf>,
    /// How long the link of an access mail works, from when it is sent; a minute to 30 days.
    #[serde(with = "humantime_serde")]
    pub access_link: Duration,
    /// How long the link of a password reset works, from when it is sent; a minute to 30 days.
    #[serde(with = "humantime_serde")]
    pub reset_link: Duration,
    /// The longest that one attempt to hand a mail over takes, connecting included; a second to ten minutes. A mail is in
    /// the hand of one process for at least half as long again.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// After a mail was not taken it is tried again after this long, then after twice that, and so on; at least 100 ms.
    #[serde(with = "humantime_serde")]
    pub retry_first: Duration,
    /// The longest wait between two attempts; not less than `retry_first`.
    #[serde(with = "humantime_serde")]
    pub retry_longest: Duration,
    /// A mail that nobody took for this long is given up; not less than `retry_longest`.
    #[serde(with = "humantime_serde")]
    pub give_up: Duration,
    /// Mails that were sent, given up or dropped are forgotten after this long; at least 15 days.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
}

/// `smtp://USER@HOST:PORT?tls=required|opportunistic|none` or `smtps://USER@HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Name or address, without brackets.
    pub host: String,
    /// 465 with [`MailTls::Implicit`], 25 with [`MailTls::Off`], else 587, unless the URL says.
    pub port: u16,
    /// How the connection is protected; without `tls` in the URL [`MailTls::Required`].
    pub tls: MailTls,
    /// Who authenticates with [`MailConfig::password`].
    pub user: Option<String>,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// TLS from the first byte (`smtps://`, RFC 8314).
    Implicit,
    /// STARTTLS or nothing is sent (RFC 3207).
    Required,
    /// STARTTLS where the server offers it, else in clear.
    Opportunistic,
    /// In clear.
    Off,
}

/// What is wrong with a mail server's URL, without its text: that may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailUrlError {
    /// Not `smtp(s)://HOST`, or with a path or fragment.
    #[error("is not a mail server's URL; it should be smtp://USER@HOST:587?tls=required or smtps://USER@HOST")]
    Form,
    /// A password in the URL.
    #[error("carries a password; it should be in mail.password or mail.password_file")]
    Password,
    /// An option other than `tls`, or another value of it.
    #[error(
        "has an option that is not known; it should be tls=required, tls=opportunistic or tls=none, or none for smtps://"
    )]
    Option,
}

impl MailServer {
    /// Reads a `mail.url`.
    ///
    /// # Errors
    /// When it is not one; see [`MailUrlError`].
    pub fn parse(text: &str) -> Result<Self, MailUrlError> {
        let url = Url::parse(text).map_err(|_| MailUrlError::Form)?;
        if url.password().is_some() {
            return Err(MailUrlError::Password);
        }
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(MailUrlError::Form)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(MailUrlError::Form);
        }
        let options: Vec<_> = url.query_pairs().collect();
        let asked = match options.as_slice() {
            [] => None,
            [(name, value)] if name == "tls" => Some(value.as_ref()),
            _ => return Err(MailUrlError::Option),
        };
        let (tls, port) = match (url.scheme(), asked) {
            ("smtps", None | Some("required")) => (MailTls::Implicit, 465),
            ("smtp", None | Some("required")) => (MailTls::Required, 587),
            ("smtp", Some("opportunistic")) => (MailTls::Opportunistic, 587),
            ("smtp", Some("none")) => (MailTls::Off, 25),
            ("smtp" | "smtps", Some(_)) => return Err(MailUrlError::Option),
            _ => return Err(MailUrlError::Form),
        };
        let user = percent_decode_str(url.username())
            .decode_utf8()
            .map_err(|_| MailUrlError::Form)?;
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(port),
            tls,
            user: (!user.is_empty()).then(|| user.into_owned()),
        })
    }
}

impl Default for MailConfig {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "fixed text, held by the tests")]
        let address = "no-reply@example.org".parse().expect("an address");
        Self {
            server: None,
            password: None,
            from: Mailbox::new(Some("Doorward".to_owned()), address),
            ca_file: None,
            templates: None,
            access_link: 3 * DAY,
            reset_link: HOUR,
            timeout: Duration::from_secs(60),
            retry_first: Duration::from_secs(10),
            retry_longest: HOUR,
            give_up: 4 * DAY,
            retention: 30 * DAY,
        }
    }
}

impl MailConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        if problems.none_in("mail") {
            let user = self.server.as_ref().and_then(|server| server.user.as_ref());
            match (user, &self.password) {
                (Some(_), None) => problems.add(
                    "mail.url",
                    "names a user without a password; it should be in mail.password or mail.password_file",
                ),
                (None, Some(_)) => problems.add(
                    "mail.password",
                    "is given without a user; mail.url should be smtp://USER@HOST or smtps://USER@HOST",
                ),
                _ => {}
            }
        }
        problems.file_exists("mail.ca_file", self.ca_file.as_deref());
        if self.templates.as_deref().is_some_and(|folder| !folder.is_dir()) {
            problems.add(
                "mail.templates",
                "is no folder; it should be one with templates or branding.toml, or empty",
            );
        }
        for (key, lifetime) in [
            ("mail.access_link", self.access_link),
            ("mail.reset_link", self.reset_link),
        ] {
            if !(Duration::from_secs(60)..=30 * DAY).contains(&lifetime) {
                problems.add(key, "should be between 1m and 30d");
            }
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&self.timeout) {
            problems.add("mail.timeout", "should be between 1s and 10m");
        }
        if self.retry_first < Duration::from_millis(100) {
            problems.add("mail.retry_first", "should be 100ms or more");
        }
        if self.retry_longest < self.retry_first {
            problems.add("mail.retry_longest", "should not be less than mail.retry_first");
        }
        if self.give_up < self.retry_longest || self.give_up > MAX_DURATION {
            problems.add("mail.give_up", "should be between mail.retry_longest and 100 years");
        }
        // What must not be sent twice is known by what was sent: warnings repeat within two weeks.
        if !(15 * DAY..=MAX_DURATION).contains(&self.retention) {
            problems.add("mail.retention", "should be between 15d and 100 years");
        }
    }

    pub(super) fn warnings(&self) -> Option<String> {
        let server = self.server.as_ref()?;
        let clear = matches!(server.tls, MailTls::Opportunistic | MailTls::Off);
        (clear && server.user.is_some()).then(|| {
            "mail.url sends a password to a server that may be reached in clear; use tls=required or smtps://"
                .to_owned()
        })
    }
}

fn server<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MailServer>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        Ok(None)
    } else {
        MailServer::parse(&text).map(Some).map_err(D::Error::custom)
    }
}

fn mailbox<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mailbox, D::Error> {
    let expecting = "a mail address, such as \"Doorward <no-reply@example.org>\"";
    parsed(deserializer, expecting, |text| text.parse().ok())
}
