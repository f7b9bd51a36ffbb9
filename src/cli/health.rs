//! `doorward health`: asks the server at `http.listen` whether it lives.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::config::Config;

/// For the connection and for each part of the answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// More of the answer is not looked at.
const MAX_ANSWER: u64 = 4096;

pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    let address = reachable(config.http.listen);
    let status = ask(config, address).with_context(|| format!("nothing answers at {address}"))?;
    if status != "200" {
        bail!("{address} answers /healthz with {status}");
    }
    Ok(())
}

/// An address to connect to: whoever listens on all of them is here too.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(config: &Config, address: SocketAddr) -> anyhow::Result<String> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    match config.http.tls() {
        None => exchange(stream, address),
        Some((certificate, _)) => {
            let pem = std::fs::read(certificate)?;
            let own =
                CertificateDer::from_pem_slice(&pem).map_err(|e| anyhow::anyhow!("{}: {e}", certificate.display()))?;
            let provider = Arc::new(ring::default_provider());
            let verifier = Arc::new(OwnCertificate {
                own,
                provider: Arc::clone(&provider),
            });
            let tls = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .dangerous() // what is accepted instead is narrower: this one certificate
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth();
            let connection = ClientConnection::new(Arc::new(tls), ServerName::from(address.ip()))?;
            exchange(StreamOwned::new(connection, stream), address)
        }
    }
}

/// The status code of `/healthz`.
fn exchange(mut stream: impl Read + Write, address: SocketAddr) -> anyhow::Result<String> {
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    let mut byte = [0; 1];
    let mut stream = stream.take(MAX_ANSWER);
    // The status line is enough, and whoever hangs up without a farewell has still sent it.
    while !answer.ends_with(b"\r\n") && stream.read(&mut byte)? > 0 {
        answer.extend_from_slice(&byte);
    }
    let line = String::from_utf8_lossy(&answer);
    match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        [version, status, ..] if version.starts_with("HTTP/1.") => Ok((*status).to_owned()),
        _ => bail!("the answer is no HTTP"),
    }
}

/// Accepts the certificate that the configuration names, whatever names are in it: the server is asked by its address.
#[derive(Debug)]
struct OwnCertificate {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OwnCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.own {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn whoever_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.7:81", "192.0.2.7:81"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn the_status_is_read_from_the_first_line() {
        struct Wire(Cursor<&'static [u8]>, Vec<u8>);
        impl Read for Wire {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl Write for Wire {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.1.write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let ask = |answer: &'static str| {
            let wire = Wire(Cursor::new(answer.as_bytes()), Vec::new());
            exchange(wire, "127.0.0.1:80".parse().unwrap())
        };
        assert_eq!(ask("HTTP/1.1 200 OK\r\nx: y\r\n\r\nok").unwrap(), "200");
        assert_eq!(ask("HTTP/1.1 503 \r\n").unwrap(), "503");
        assert!(ask("").is_err());
        assert!(ask("220 mail.example.org ESMTP\r\n").is_err());
    }
}
