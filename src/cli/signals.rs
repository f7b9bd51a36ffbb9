//! Being asked to stop.

use std::io;

use tokio::sync::oneshot;

/// Completes at the first SIGINT or SIGTERM; both are caught from the moment this function returns.
///
/// # Errors
/// When the operating system lets nobody listen for signals.
#[cfg(unix)]
pub(super) fn stop() -> io::Result<oneshot::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let _ = tell.send(()); // whoever waited may be done already
        // Whoever asks twice does not want to wait for open requests.
        tokio::select! {
            _ = interrupt.recv() => std::process::exit(130),
            _ = terminate.recv() => std::process::exit(143),
        }
    });
    Ok(told)
}

/// Completes at the first Ctrl-C.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub(super) fn stop() -> io::Result<oneshot::Receiver<()>> {
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = tell.send(()); // whoever waited may be done already
        }
    });
    Ok(told)
}
