//! The socket: TLS, bounds on slow clients, an orderly end.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{HttpState, router};

/// A connection must have sent its first request's header by then.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// A later request's header must be there by then; so long may a connection also rest between requests.
const NEXT_REQUEST: Duration = Duration::from_secs(60);

/// At the end, requests that are under way have this long.
const DRAIN: Duration = Duration::from_secs(10);

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A PEM file is absent, or may not be read.
    #[error("cannot read {}: {source}; {key} should be the path of a readable PEM file", path.display())]
    Read {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is there, but holds something else.
    #[error("{} has no {expected} ({reason}); {key} should be a PEM file with one", path.display())]
    Pem {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What the reader found.
        reason: String,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error(
        "{} and {} cannot be used together: {reason}; http.tls_key should be the private key of the first certificate in \
         http.tls_certificate", certificate.display(), key.display()
    )]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: rustls::Error,
    },
    /// The socket failed.
    #[error("the listening socket failed: {0}; it should be bound to a free address of this machine")]
    Socket(#[from] std::io::Error),
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ServerConfig>);

impl Tls {
    /// Reads the PEM files of a certificate chain, the server's own first, and of its private key (PKCS#8, PKCS#1 or
    /// SEC1, not encrypted). Blocks on the files: for the start of the process.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, HttpError> {
        let chain = read("http.tls_certificate", certificate, "certificate", |pem| {
            let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
            if chain.is_empty() {
                return Err(rustls::pki_types::pem::Error::NoItemsFound);
            }
            Ok(chain)
        })?;
        let private = read("http.tls_key", key, "private key", PrivateKeyDer::from_pem_slice)?;
        let pair = |reason| HttpError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
            .map_err(pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn read<T>(
    key: &'static str,
    path: &Path,
    expected: &'static str,
    parse: impl FnOnce(&[u8]) -> Result<T, rustls::pki_types::pem::Error>,
) -> Result<T, HttpError> {
    let pem = std::fs::read(path).map_err(|source| HttpError::Read {
        key,
        path: path.to_owned(),
        source,
    })?;
    parse(&pem).map_err(|error| HttpError::Pem {
        key,
        path: path.to_owned(),
        expected,
        reason: error.to_string(),
    })
}

/// Serves until `shutdown` comes; then takes no more connections, closes those that rest and the WebSockets, and waits for
/// the requests that are under way, ten seconds at most. `listener` is bound already.
///
/// # Errors
/// [`HttpError::Socket`] when the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    state: HttpState,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), HttpError> {
    let handle = Handle::new();
    let server = with_bounds(axum_server::from_tcp(listener)?.handle(handle.clone()));
    let sockets = state.sockets.clone();
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    let serving: Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>> = match tls {
        None => Box::pin(server.serve(service)),
        Some(Tls(config)) => {
            let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(config)).handshake_timeout(FIRST_REQUEST);
            Box::pin(server.acceptor(acceptor).serve(service))
        }
    };
    let mut serving = pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = shutdown => {}
    }
    handle.graceful_shutdown(Some(DRAIN));
    // What became a WebSocket is not among the requests that the server waits for.
    let (served, ()) = tokio::join!(serving, sockets.close(DRAIN));
    Ok(served?)
}

/// Bounds on what a client that sends slowly, or nothing, may hold.
fn with_bounds<A>(server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    let mut server = server
        .first_request_timeout(FIRST_REQUEST)
        .accept_error_handler(|peer, error| tracing::debug!(?peer, %error, "a connection was not accepted"));
    let builder = server.http_builder();
    builder.http1().header_read_timeout(NEXT_REQUEST);
    builder
        .http2()
        .keep_alive_interval(NEXT_REQUEST)
        .keep_alive_timeout(FIRST_REQUEST);
    server
}
