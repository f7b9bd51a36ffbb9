//! Why a directory could not say yes or no.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ldap3::{LdapError, LdapResult};

/// LDAP result codes that decide something (RFC 4511, appendix A.2).
pub(super) mod code {
    pub const SUCCESS: u32 = 0;
    pub const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub const REFERRAL: u32 = 10;
    pub const CONSTRAINT_VIOLATION: u32 = 19;
    pub const NO_SUCH_OBJECT: u32 = 32;
    pub const INVALID_DN_SYNTAX: u32 = 34;
    pub const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    pub const INVALID_CREDENTIALS: u32 = 49;
    pub const INSUFFICIENT_ACCESS_RIGHTS: u32 = 50;
    pub const BUSY: u32 = 51;
    pub const UNAVAILABLE: u32 = 52;
    pub const UNWILLING_TO_PERFORM: u32 = 53;
}

/// What was under way when something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Opening the TCP connection.
    Connect,
    /// StartTLS and the TLS handshake.
    Tls,
    /// Binding as the service account.
    ServiceBind,
    /// Asking the server for anything at all.
    Probe,
    /// Reading a base entry.
    Base,
    /// Searching for the person.
    Search,
    /// Searching for the person's groups.
    Groups,
    /// Binding as the person.
    UserBind,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "starting TLS",
            Self::ServiceBind => "binding as bind_dn",
            Self::Probe => "reading the root entry",
            Self::Base => "reading a base",
            Self::Search => "searching for the person",
            Self::Groups => "searching for groups",
            Self::UserBind => "binding as the person",
        })
    }
}

/// Why a directory could not say yes or no. Never for a client's eyes: it names servers and their words.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DirectoryError {
    /// A value of the configuration cannot be used.
    #[error("{key}: {reason}")]
    Configuration {
        /// The key, with its section.
        key: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A file that the configuration names cannot be used.
    #[error("{key}: {}: {reason}", file.display())]
    File {
        /// The key, with its section.
        key: String,
        /// The file.
        file: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// No TCP connection.
    #[error("{server}: no connection: {reason}")]
    Connect {
        /// The server's URL.
        server: Arc<str>,
        /// The system's words.
        reason: String,
    },
    /// StartTLS was refused, or the handshake or the certificate failed.
    #[error("{server}: no TLS: {reason}")]
    Tls {
        /// The server's URL.
        server: Arc<str>,
        /// What failed.
        reason: String,
    },
    /// No answer within the server's time.
    #[error("{server}: no answer in time while {step}")]
    TimedOut {
        /// The server's URL.
        server: Arc<str>,
        /// What was under way.
        step: Step,
    },
    /// The connection ended before the answer.
    #[error("{server}: connection lost while {step}: {reason}")]
    Lost {
        /// The server's URL.
        server: Arc<str>,
        /// What was under way.
        step: Step,
        /// The library's words.
        reason: String,
    },
    /// The answer was not LDAP.
    #[error("{server}: a malformed answer while {step}; is this an LDAP server?")]
    Malformed {
        /// The server's URL.
        server: Arc<str>,
        /// What was under way.
        step: Step,
    },
    /// The server answered, and the answer is no use: a missing base, a refused service account, a limit.
    #[error("{server}: result {code} while {step}: {text}")]
    Answer {
        /// The server's URL.
        server: Arc<str>,
        /// What was under way.
        step: Step,
        /// The result code (RFC 4511, appendix A).
        code: u32,
        /// The server's words.
        text: String,
    },
    /// The person's password was sent and is not sent to anybody else, whatever went wrong then.
    #[error("the password was sent, so no other server is asked: {0}")]
    AfterBind(Box<DirectoryError>),
    /// Every server failed.
    #[error("directory {directory}: no server answered: {}", join(errors))]
    NoServer {
        /// The directory's name.
        directory: String,
        /// Why, server by server.
        errors: Vec<DirectoryError>,
    },
    /// The whole attempt took longer than all its servers may.
    #[error("directory {directory}: no answer within {limit:?}")]
    Overdue {
        /// The directory's name.
        directory: String,
        /// The limit.
        limit: Duration,
    },
    /// `user_dn` without `bind_dn`: people can be read only with their own password.
    #[error("directories.{directory}: nobody can be looked up without their password; give bind_dn for that")]
    NoLookUp {
        /// The directory's name.
        directory: String,
    },
}

fn join(errors: &[DirectoryError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl DirectoryError {
    /// Whether another server may do better: nothing was heard, or the server says that it is not able just now.
    pub(super) fn is_transport(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::TimedOut { .. }
            | Self::Lost { .. }
            | Self::Malformed { .. } => true,
            Self::Answer { code, .. } => matches!(*code, code::BUSY | code::UNAVAILABLE),
            Self::Configuration { .. }
            | Self::File { .. }
            | Self::AfterBind(_)
            | Self::NoServer { .. }
            | Self::Overdue { .. }
            | Self::NoLookUp { .. } => false,
        }
    }

    /// A result that is not what `step` needs.
    pub(super) fn answer(server: &Arc<str>, step: Step, result: &LdapResult) -> Self {
        let text = match (result.rc, result.text.as_str()) {
            (code::SIZE_LIMIT_EXCEEDED, text) => [text, SIZE_LIMIT].join(if text.is_empty() { "" } else { "; " }),
            (rc, "") => explain(rc),
            (_, text) => text.to_owned(),
        };
        Self::Answer {
            server: Arc::clone(server),
            step,
            code: result.rc,
            text,
        }
    }

    /// What the library reports.
    pub(super) fn from_ldap(server: &Arc<str>, step: Step, error: LdapError) -> Self {
        let server = Arc::clone(server);
        match error {
            LdapError::LdapResult { result } if step != Step::Tls => Self::answer(&server, step, &result),
            LdapError::Timeout { .. } => Self::TimedOut { server, step },
            error @ LdapError::FilterParsing => Self::Configuration {
                key: "filter".to_owned(),
                reason: format!("{error} while {step} at {server}"),
            },
            error if step == Step::Connect => Self::Connect {
                server,
                reason: error.to_string(),
            },
            error if step == Step::Tls => Self::Tls {
                server,
                reason: tls_reason(&error),
            },
            error => Self::Lost {
                server,
                step,
                reason: error.to_string(),
            },
        }
    }
}

/// The library's words with, where the cause is one of the usual ones, what to do about it.
fn tls_reason(error: &LdapError) -> String {
    use rustls::CertificateError as C;
    let LdapError::Io { source } = error else {
        return match error {
            LdapError::LdapResult { result } => format!("StartTLS was refused: {result}"),
            other => other.to_string(),
        };
    };
    let cause = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let hint = match cause {
        // An authority of the right name with another key makes the signature the bad one.
        Some(rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature)) => {
            "; its certificate authority is not trusted: name the right one in ca_file"
        }
        Some(rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. })) => {
            "; use the host name that the certificate carries"
        }
        Some(rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. })) => {
            "; the server needs a new certificate"
        }
        _ => "",
    };
    format!("{source}{hint}")
}

/// What to do when a server ends a search in the middle.
const SIZE_LIMIT: &str = "the server gives no more entries to bind_dn; raise its limit for it \
                          (OpenLDAP: limits dn.exact=… size.soft=unlimited size.hard=unlimited size.prtotal=unlimited)";

/// Words for codes that servers often leave without any.
fn explain(code: u32) -> String {
    match code {
        8 | 13 => "the server wants an encrypted connection: use ldaps:// or start_tls",
        code::REFERRAL => "the server refers to another one; name that one in servers",
        code::NO_SUCH_OBJECT => "the base does not exist, or bind_dn may not see it",
        code::INVALID_CREDENTIALS => "wrong name or password",
        code::INSUFFICIENT_ACCESS_RIGHTS => "bind_dn may not do this",
        _ => "the server gives no reason",
    }
    .to_owned()
}
