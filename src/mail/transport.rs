//! The connection to the mail server, as `[mail]` describes it.

use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use secrecy::ExposeSecret;

use super::MailError;
use crate::config::{MailConfig, MailServer, MailTls};

/// For the connection and for each answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `host:port`, for messages.
pub(super) fn place(server: &MailServer) -> String {
    format!("{}:{}", server.host, server.port)
}

/// The transport; connects to nothing yet. `ca` is what `mail.ca_file` holds: those authorities only are trusted then.
pub(super) fn transport(
    config: &MailConfig,
    server: &MailServer,
    ca: Option<&[u8]>,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let tls = || {
        let mut parameters = TlsParameters::builder(server.host.clone());
        if let Some(pem) = ca {
            parameters = parameters
                .certificate_store(CertificateStore::None)
                .add_root_certificate(Certificate::from_pem(pem)?);
        }
        parameters.build_rustls()
    };
    let tls = match server.tls {
        MailTls::Off => Ok(Tls::None),
        MailTls::Implicit => tls().map(Tls::Wrapper),
        MailTls::Required => tls().map(Tls::Required),
        MailTls::Opportunistic => tls().map(Tls::Opportunistic),
    };
    let tls = tls.map_err(|error| MailError::Tls {
        server: place(server),
        reason: error.to_string(),
    })?;
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
        .port(server.port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let (Some(user), Some(password)) = (&server.user, &config.password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    Ok(builder.build())
}
