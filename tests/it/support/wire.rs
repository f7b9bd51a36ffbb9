//! Servers that misbehave, and a proxy that sees and breaks what passes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What to do with a piece that a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Pass it on.
    Forward,
    /// Pass it on, and never pass on an answer again.
    Mute,
    /// Close the connection instead.
    Close,
}

/// A listener on loopback that ends when it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    frozen: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// Which of the connections that are open at that moment carry nothing any more.
const NONE: usize = 0;
const ALL: usize = 1;
const EVERY_SECOND: usize = 2;

impl Listener {
    /// Passes everything on to `target`, as `rule` says for each piece that the client sends.
    pub async fn proxy(target: SocketAddr, rule: impl Fn(&[u8]) -> Action + Send + Sync + 'static) -> Self {
        let rule = Arc::new(rule);
        let frozen = Arc::new(AtomicUsize::new(NONE));
        let (state, opened) = (Arc::clone(&frozen), AtomicUsize::new(0));
        Self::serve(frozen, move |client| {
            let is_second = opened.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            pass(client, target, Arc::clone(&rule), Arc::clone(&state), is_second)
        })
        .await
    }

    /// Accepts and never says a word.
    pub async fn silent() -> Self {
        Self::answering(Vec::new()).await
    }

    /// Answers the first thing it hears with these bytes and then keeps silent.
    pub async fn answering(answer: Vec<u8>) -> Self {
        Self::serve(Arc::default(), move |mut client| {
            let answer = answer.clone();
            async move {
                let mut heard = [0; 4096];
                let _ = client.read(&mut heard).await;
                let _ = client.write_all(&answer).await;
                std::future::pending().await
            }
        })
        .await
    }

    /// Answers the first thing it hears with a message that never comes to its end.
    pub async fn endless() -> Self {
        Self::serve(Arc::default(), |mut client| async move {
            let mut heard = [0; 4096];
            let _ = client.read(&mut heard).await;
            // A sequence of two gigabytes, a little at a time.
            let _ = client.write_all(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]).await;
            while client.write_all(&[0; 512]).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// Passes answers of `target` on, but for the one with that number (from 0): in its place come `bytes`, and nothing more.
    pub async fn garbling(target: SocketAddr, number: usize, bytes: Vec<u8>) -> Self {
        Self::serve(Arc::default(), move |mut client| {
            let bytes = bytes.clone();
            async move {
                let Ok(mut server) = TcpStream::connect(target).await else {
                    return;
                };
                let (mut asked, mut answered, mut answers) = (vec![0; 65536], vec![0; 65536], 0);
                loop {
                    tokio::select! {
                        read = client.read(&mut asked) => {
                            let piece = match read { Ok(n) if n > 0 => &asked[..n], _ => return };
                            if server.write_all(piece).await.is_err() { return }
                        }
                        read = server.read(&mut answered) => {
                            let piece = match read { Ok(n) if n > 0 => &answered[..n], _ => return };
                            if answers == number {
                                let _ = client.write_all(&bytes).await;
                                std::future::pending::<()>().await;
                            }
                            answers += 1;
                            if client.write_all(piece).await.is_err() { return }
                        }
                    }
                }
            }
        })
        .await
    }

    /// Accepts and closes.
    pub async fn closing() -> Self {
        Self::serve(Arc::default(), |client| async move { drop(client) }).await
    }

    async fn serve<F>(frozen: Arc<AtomicUsize>, talk: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                talks.spawn(talk(client));
            }
        });
        Self { address, frozen, task }
    }

    /// `ldap://…`
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// `ldaps://…`
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// From now on the open connections carry nothing any more, without being closed; new ones work.
    pub fn freeze_open_connections(&self) {
        self.frozen.store(ALL, Ordering::SeqCst);
    }

    /// The same for every second one of them.
    pub fn freeze_half_of_the_open_connections(&self) {
        self.frozen.store(EVERY_SECOND, Ordering::SeqCst);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    target: SocketAddr,
    rule: Arc<impl Fn(&[u8]) -> Action>,
    frozen: Arc<AtomicUsize>,
    is_second: bool,
) {
    let began_frozen = frozen.load(Ordering::SeqCst) != NONE;
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut is_mute = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let piece = match read { Ok(n) if n > 0 => &asked[..n], _ => return };
                let is_frozen = match frozen.load(Ordering::SeqCst) {
                    ALL => true,
                    EVERY_SECOND => is_second,
                    _ => false,
                };
                if is_frozen && !began_frozen {
                    std::future::pending::<()>().await;
                }
                match rule(piece) {
                    Action::Forward => {}
                    Action::Mute => is_mute = true,
                    Action::Close => return,
                }
                if server.write_all(piece).await.is_err() { return }
            }
            read = server.read(&mut answered) => {
                let piece = match read { Ok(n) if n > 0 => &answered[..n], _ => return };
                if !is_mute && client.write_all(piece).await.is_err() { return }
            }
        }
    }
}
