//! The client: connections that are kept, asked in a closed loop (the next question follows the answer) or in an open one
//! (questions come when they are due, whether or not the earlier ones are answered).
//!
//! It runs on one thread of its own, so that it takes as little as it can of the machine it measures.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

/// No answer for this long is an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// After an error, so that a server which is gone is not asked as fast as the machine can.
const PAUSE: Duration = Duration::from_millis(50);
/// More complaints than these are only counted.
const COMPLAINTS: usize = 5;

/// What is asked of whom.
#[derive(Debug, Clone)]
pub struct Ask {
    pub address: SocketAddr,
    pub path: &'static str,
    pub token: Option<String>,
    /// Sent in turn.
    pub bodies: Vec<Bytes>,
    /// Whether that is the answer; that it is one without errors is seen to already.
    pub right: fn(&Value) -> bool,
}

/// What a turn came to.
#[derive(Debug)]
pub struct Sample {
    /// Of the right answers, in order of length.
    latencies: Vec<Duration>,
    took: Duration,
    /// The others.
    pub errors: usize,
    /// What was wrong with the first of them.
    pub complaints: Vec<String>,
}

impl Sample {
    /// Right answers a second.
    pub fn rate(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64()
    }

    /// Right answers.
    pub fn count(&self) -> usize {
        self.latencies.len()
    }

    /// The mean latency, in milliseconds.
    pub fn mean(&self) -> f64 {
        millis(self.latencies.iter().sum()) / self.count() as f64
    }

    /// The latency that this share of the answers stays within, in milliseconds.
    pub fn quantile(&self, share: f64) -> f64 {
        let place = (share * self.count() as f64).ceil() as usize;
        let latency = self.latencies.get(place.saturating_sub(1));
        millis(*latency.expect("there are answers"))
    }

    /// Itself, when every answer was right.
    #[track_caller]
    pub fn whole(self) -> Self {
        assert_eq!(self.errors, 0, "{:#?}", self.complaints);
        assert_ne!(self.count(), 0, "there are no answers");
        self
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Connections to one server.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    shared: Arc<Shared>,
    /// Not connected ones connect when they are used.
    senders: Vec<Option<SendRequest<Full<Bytes>>>>,
}

#[derive(Debug)]
struct Shared {
    ask: Ask,
    /// The next body.
    next: AtomicUsize,
    /// An answer that was read and found right: the same bytes again need no reading.
    known: Mutex<Bytes>,
}

/// What one connection came to.
type Line = (Option<SendRequest<Full<Bytes>>>, Vec<Duration>, Vec<String>);

impl Client {
    /// Gets ready, and asks once to see that the answer is right.
    ///
    /// # Panics
    /// When it is not.
    pub fn new(ask: Ask, connections: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let shared = Arc::new(Shared {
            ask,
            next: AtomicUsize::new(0),
            known: Mutex::default(),
        });
        let mut senders: Vec<_> = std::iter::repeat_with(|| None).take(connections).collect();
        let first = shared.ask(&mut senders[0]);
        runtime.block_on(first).unwrap_or_else(|e| panic!("{e}"));
        Self {
            runtime,
            shared,
            senders,
        }
    }

    /// Asks on every connection again and again for that long.
    pub fn closed_loop(&mut self, time: Duration) -> Sample {
        let begun = Instant::now();
        let until = begun + time;
        self.run(begun, |shared, mut sender| async move {
            let (mut latencies, mut complaints) = (Vec::new(), Vec::new());
            loop {
                let asked = Instant::now();
                if asked >= until {
                    return (sender, latencies, complaints);
                }
                match shared.ask(&mut sender).await {
                    Ok(()) => latencies.push(asked.elapsed()),
                    Err(complaint) => {
                        complaints.push(complaint);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        })
    }

    /// Asks so often a second for that long, on whichever connection is free. A question that found none waits, and its
    /// latency counts from when it was due.
    pub fn open_loop(&mut self, rate: f64, time: Duration) -> Sample {
        let count = (rate * time.as_secs_f64()) as usize;
        let begun = Instant::now();
        let due = move |n: usize| begun + Duration::from_secs_f64(n as f64 / rate);
        let (permits, claimed) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        // A thread of its own, as the runtime's timer knows whole milliseconds only.
        let clock = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || {
                for n in 0..count {
                    thread::sleep(due(n).saturating_duration_since(Instant::now()));
                    permits.add_permits(1);
                }
            })
        };
        let sample = self.run(begun, move |shared, mut sender| {
            let (permits, claimed) = (Arc::clone(&permits), Arc::clone(&claimed));
            async move {
                let (mut latencies, mut complaints) = (Vec::new(), Vec::new());
                loop {
                    // Permits are given in the order in which they are asked for: the n-th is for the n-th question.
                    let n = claimed.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return (sender, latencies, complaints);
                    }
                    permits.acquire().await.expect("it is never closed").forget();
                    match shared.ask(&mut sender).await {
                        Ok(()) => latencies.push(due(n).elapsed()),
                        Err(complaint) => complaints.push(complaint),
                    }
                }
            }
        });
        clock.join().unwrap();
        sample
    }

    /// Runs something on every connection at once.
    fn run<W, F>(&mut self, begun: Instant, work: W) -> Sample
    where
        W: Fn(Arc<Shared>, Option<SendRequest<Full<Bytes>>>) -> F,
        F: Future<Output = Line> + Send + 'static,
    {
        let mut sample = Sample {
            latencies: Vec::new(),
            took: Duration::ZERO,
            errors: 0,
            complaints: Vec::new(),
        };
        let senders = std::mem::take(&mut self.senders);
        self.runtime.block_on(async {
            let tasks: Vec<_> = senders
                .into_iter()
                .map(|sender| tokio::spawn(work(Arc::clone(&self.shared), sender)))
                .collect();
            for task in tasks {
                let (sender, latencies, complaints) = task.await.unwrap();
                self.senders.push(sender);
                sample.latencies.extend(latencies);
                sample.errors += complaints.len();
                sample.complaints.extend(complaints);
                sample.complaints.truncate(COMPLAINTS);
            }
        });
        sample.took = begun.elapsed();
        sample.latencies.sort_unstable();
        sample
    }
}

impl Shared {
    /// Asks on a connection, which is made if need be, and given up after an error.
    async fn ask(&self, sender: &mut Option<SendRequest<Full<Bytes>>>) -> Result<(), String> {
        let exchange = async {
            let mut open = match sender.take() {
                Some(open) => open,
                None => connect(self.ask.address).await?,
            };
            open.ready().await.map_err(|e| e.to_string())?;
            let response = open.send_request(self.request()).await.map_err(|e| e.to_string())?;
            self.check(response).await?;
            *sender = Some(open);
            Ok(())
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await;
        answered.unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let Ask {
            address,
            path,
            token,
            bodies,
            ..
        } = &self.ask;
        let body = &bodies[self.next.fetch_add(1, Ordering::Relaxed) % bodies.len()];
        let mut request = Request::post(*path)
            .header(HOST, address.to_string())
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Full::new(body.clone())).unwrap()
    }

    /// Reads the answer to its end.
    async fn check(&self, response: Response<Incoming>) -> Result<(), String> {
        let (head, mut body) = response.into_parts();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut frames, mut length, mut same) = (Vec::new(), 0, true);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|e| e.to_string())?.into_data() else {
                continue;
            };
            let end = length + data.len();
            same = same && known.get(length..end) == Some(&data[..]);
            length = end;
            frames.push(data);
        }
        if head.status == StatusCode::OK && same && length == known.len() {
            return Ok(());
        }
        let answer = frames.concat();
        let complaint = || format!("{}: {}", head.status, cut(&answer));
        let value: Value = serde_json::from_slice(&answer).map_err(|_| complaint())?;
        if head.status != StatusCode::OK || value.get("errors").is_some() || !(self.ask.right)(&value) {
            return Err(complaint());
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = answer.into();
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // What goes wrong with it is told to whoever asks.
    tokio::spawn(connection);
    Ok(sender)
}

/// The beginning of an answer, for a complaint.
fn cut(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).chars().take(400).collect()
}
