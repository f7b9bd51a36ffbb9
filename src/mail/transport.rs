//! The connection to the mail server, as `[mail]` describes it.

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;

use super::MailError;
use crate::config::{MailConfig, MailServer, MailTls};

/// For the TCP connection to one of the server's addresses.
const CONNECT: Duration = Duration::from_secs(10);

/// For the connection as a whole, until messages can be sent over it.
const SET_UP: Duration = Duration::from_secs(20);

/// For the server's answer to a farewell.
const LEAVE: Duration = Duration::from_secs(5);

/// `host:port`, for messages.
pub(super) fn place(server: &MailServer) -> String {
    format!("{}:{}", server.host, server.port)
}

/// Makes connections that messages can be sent over.
pub(super) struct Connector {
    server: MailServer,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
}

/// Why a connection was not made.
pub(super) enum ConnectError {
    /// The server did not go along, or could not be reached.
    Smtp(Error),
    /// It took longer than [`SET_UP`].
    Silent,
}

impl Connector {
    /// Reads the CA file, those authorities only are trusted then; connects to nothing yet.
    ///
    /// # Errors
    /// [`MailError::Off`], [`MailError::CaFile`] and [`MailError::Tls`].
    pub(super) async fn open(config: &MailConfig) -> Result<Self, MailError> {
        let server = config.server.clone().ok_or(MailError::Off)?;
        let ca = match &config.ca_file {
            Some(path) => Some(tokio::fs::read(path).await.map_err(|source| MailError::CaFile {
                path: path.clone(),
                source,
            })?),
            None => None,
        };
        // lettre takes a file without any, and then trusts nobody.
        if ca
            .as_deref()
            .is_some_and(|pem| CertificateDer::pem_slice_iter(pem).next().is_none())
        {
            return Err(MailError::Tls {
                server: place(&server),
                reason: "the file holds no certificate".to_owned(),
            });
        }
        let parameters = || {
            let mut parameters = TlsParameters::builder(server.host.clone());
            if let Some(pem) = &ca {
                parameters = parameters
                    .certificate_store(CertificateStore::None)
                    .add_root_certificate(Certificate::from_pem(pem)?);
            }
            parameters.build_rustls()
        };
        let tls = match server.tls {
            MailTls::Off => None,
            MailTls::Implicit | MailTls::Required | MailTls::Opportunistic => {
                Some(parameters().map_err(|error| MailError::Tls {
                    server: place(&server),
                    reason: error.to_string(),
                })?)
            }
        };
        let credentials = match (&server.user, &config.password) {
            (Some(user), Some(password)) => Some(Credentials::new(user.clone(), password.expose_secret().to_owned())),
            _ => None,
        };
        Ok(Self {
            server,
            tls,
            credentials,
            hello: ClientId::default(),
        })
    }

    /// The server that it connects to.
    pub(super) fn server(&self) -> &MailServer {
        &self.server
    }

    /// Connects, encrypts and authenticates.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, ConnectError> {
        match tokio::time::timeout(SET_UP, self.set_up()).await {
            Ok(made) => made.map_err(ConnectError::Smtp),
            Err(_) => Err(ConnectError::Silent),
        }
    }

    async fn set_up(&self) -> Result<AsyncSmtpConnection, Error> {
        let wrapper = self.tls.clone().filter(|_| self.server.tls == MailTls::Implicit);
        let address = (self.server.host.as_str(), self.server.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &self.hello, wrapper, None).await?;
        if let Some(tls) = &self.tls {
            let upgrade = match self.server.tls {
                MailTls::Required => true,
                MailTls::Opportunistic => connection.can_starttls(),
                MailTls::Implicit | MailTls::Off => false,
            };
            if upgrade {
                connection.starttls(tls.clone(), &self.hello).await?;
            }
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// Takes leave of the server, which need not answer.
pub(super) async fn hang_up(mut connection: AsyncSmtpConnection) {
    let _ = tokio::time::timeout(LEAVE, connection.abort()).await; // the connection ends either way
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl ConnectError {
    /// Did TLS fail, as with a certificate that is not trusted? lettre does not tell that from other trouble with a connection.
    pub(super) fn is_tls(&self) -> bool {
        let Self::Smtp(error) = self else { return false };
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
                return true;
            }
            source = cause.source();
        }
        error.is_tls()
    }
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Smtp(error) => f.write_str(&super::error::chain(error)),
            Self::Silent => write!(f, "no answer within {} s", SET_UP.as_secs()),
        }
    }
}
