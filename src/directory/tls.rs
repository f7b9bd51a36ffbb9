//! TLS towards the servers: rustls with ring, TLS 1.2 or newer, certificates always checked.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::DirectoryError;
use crate::config::DirectoryConfig;

/// Trusts the authorities in `ca_file` and nobody else, or the system's when there is no such file. Blocks on files.
pub(super) fn client_config(name: &str, config: &DirectoryConfig) -> Result<Arc<ClientConfig>, DirectoryError> {
    let roots = match &config.ca_file {
        Some(file) => private_roots(&key(name, "ca_file"), file)?,
        None => system_roots(name)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| DirectoryError::Configuration {
            key: key(name, "servers"),
            reason: e.to_string(),
        })?
        .with_root_certificates(roots);
    let (Some(certificate), Some(private_key)) = (&config.client_certificate, &config.client_key) else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain = certificates(&key(name, "client_certificate"), certificate)?;
    let key_name = key(name, "client_key");
    let private = PrivateKeyDer::from_pem_file(private_key)
        .map_err(|e| file_error(&key_name, private_key, format!("{e}; a PEM private key is needed")))?;
    let config = builder.with_client_auth_cert(chain, private).map_err(|e| {
        file_error(
            &key_name,
            private_key,
            format!("{e}; it must belong to client_certificate"),
        )
    })?;
    Ok(Arc::new(config))
}

fn private_roots(key: &str, file: &Path) -> Result<RootCertStore, DirectoryError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, file)? {
        roots
            .add(certificate)
            .map_err(|e| file_error(key, file, format!("not a usable certificate authority: {e}")))?;
    }
    Ok(roots)
}

fn system_roots(name: &str) -> Result<RootCertStore, DirectoryError> {
    let mut roots = RootCertStore::empty();
    // Stores of real systems hold a few certificates that no verifier takes; the others are still good.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(DirectoryError::Configuration {
            key: key(name, "ca_file"),
            reason: "is not given, and the system trusts no certificate authority; \
                     install the package ca-certificates or name a PEM file"
                .to_owned(),
        });
    }
    Ok(roots)
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, DirectoryError> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let found = read().map_err(|e| file_error(key, file, format!("{e}; PEM certificates are needed")))?;
    if found.is_empty() {
        return Err(file_error(
            key,
            file,
            "holds no certificate; PEM certificates are needed".to_owned(),
        ));
    }
    Ok(found)
}

fn key(name: &str, key: &str) -> String {
    format!("directories.{name}.{key}")
}

fn file_error(key: &str, file: &Path, reason: String) -> DirectoryError {
    DirectoryError::File {
        key: key.to_owned(),
        file: file.to_owned(),
        reason,
    }
}
