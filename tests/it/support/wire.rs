//! Servers that misbehave, and a proxy that sees and breaks what passes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    is_frozen: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Passes everything on to `target`, as `rule` says for each piece that the client sends.
    pub async fn proxy(target: SocketAddr, rule: impl Fn(&[u8]) -> Action + Send + Sync + 'static) -> Self {
        let rule = Arc::new(rule);
        let is_frozen = Arc::new(AtomicBool::new(false));
        let frozen = Arc::clone(&is_frozen);
        Self::serve(is_frozen, move |client| {
            pass(client, target, Arc::clone(&rule), Arc::clone(&frozen))
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

    /// Accepts and closes.
    pub async fn closing() -> Self {
        Self::serve(Arc::default(), |client| async move { drop(client) }).await
    }

    async fn serve<F>(is_frozen: Arc<AtomicBool>, talk: impl Fn(TcpStream) -> F + Send + 'static) -> Self
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
        Self {
            address,
            is_frozen,
            task,
        }
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
        self.is_frozen.store(true, Ordering::SeqCst);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr, rule: Arc<impl Fn(&[u8]) -> Action>, frozen: Arc<AtomicBool>) {
    let began_frozen = frozen.load(Ordering::SeqCst);
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut is_mute = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let piece = match read { Ok(n) if n > 0 => &asked[..n], _ => return };
                if frozen.load(Ordering::SeqCst) && !began_frozen {
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
