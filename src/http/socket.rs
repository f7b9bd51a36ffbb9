//! `GET /graphql` upgraded to a WebSocket: subscriptions, by the protocol `graphql-transport-ws`.
//!
//! The library speaks the protocol; here is what it leaves to its user or does otherwise: who may connect and for how
//! long, the protocol's close codes, and bounds on what a client may hold.
//! <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>

mod talk;

use std::borrow::Cow;
use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_graphql::{Data, Executor, Response as GraphqlResponse, ServerError};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Request};
use axum::http::header::{CACHE_CONTROL, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures_util::stream::{self, BoxStream, SplitSink, SplitStream};
use futures_util::{SinkExt as _, Stream, StreamExt as _, sink};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};
use tracing::Instrument as _;

use super::endpoint::{in_time, no_identity};
use super::identity::{Credentials, NOT_VALID};
use super::media::Media;
use super::refusal::Refusal;
use super::{Backend, HttpState};
use crate::auth::BearerSecret;
use crate::domain::login_event::EventOrigin;
use crate::service::{Gone, Place, ServiceError};
use crate::store::StoreError;
use talk::{Heard, MAX_OPEN, Talk};

/// The one protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";

/// `connection_init` must come within this.
const INIT_TIME: Duration = Duration::from_secs(10);
/// How often a client is asked whether it is there.
const PING: Duration = Duration::from_secs(25);
/// One that was not heard for so long is not.
const SILENCE: Duration = Duration::from_secs(60);
/// So long may a client take over the end.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// The library's own buffers are meant for few and busy sockets; a thousand quiet ones should cost little.
const BUFFER: usize = 8 * 1024;

/// How a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ending {
    code: u16,
    reason: Cow<'static, str>,
}

impl Ending {
    const STOPPING: Self = Self::new(1001, "the server is stopping");
    const SILENT: Self = Self::new(1001, "nothing was heard of the client");
    const UNREADABLE: Self = Self::new(1002, "a frame cannot be read, or the message is too large");
    const INTERNAL: Self = Self::new(1011, "something went wrong on the server");
    const TRY_LATER: Self = Self::new(1013, "the store is not available; try again later");
    const UNAUTHORIZED: Self = Self::new(4401, "Unauthorized");
    const FORBIDDEN: Self = Self::new(4403, "Forbidden");
    const ENDED: Self = Self::new(4403, "Forbidden: the session has ended");
    const NO_INIT: Self = Self::new(4408, "Connection initialisation timeout");
    const TOO_MANY_INITS: Self = Self::new(4429, "Too many initialisation requests");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }

    fn bad_message(why: &str) -> Self {
        Self {
            code: 4400,
            reason: format!("Bad request: {why}").into(),
        }
    }

    fn frame(self) -> CloseFrame {
        let mut reason = self.reason.into_owned();
        reason.truncate(reason.floor_char_boundary(123)); // a close frame has no room for more
        CloseFrame {
            code: self.code,
            reason: reason.into(),
        }
    }
}

/// The sockets that are open, and their common end.
#[derive(Debug, Clone)]
pub(super) struct Sockets(Arc<watch::Sender<bool>>);

impl Default for Sockets {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Sockets {
    /// Asks all of them to end, and waits until they have, for no longer than that.
    pub(super) async fn close(&self, limit: Duration) {
        self.0.send_replace(true);
        if timeout(limit, self.0.closed()).await.is_err() {
            tracing::warn!("some WebSockets did not end in time; they are cut off");
        }
    }
}

/// Does the request want to become a WebSocket?
pub(super) fn is_asked_for(request: &Request) -> bool {
    let wants = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|one| one.trim().eq_ignore_ascii_case("websocket"))
    };
    request.method() == Method::GET && request.headers().get_all(UPGRADE).iter().any(wants)
}

/// Lets the request become one, or says why not.
pub(super) async fn upgrade(state: HttpState, origin: EventOrigin, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let mut response = match try_upgrade(state, origin, parts).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(Media::Json),
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn try_upgrade(state: HttpState, origin: EventOrigin, mut parts: Parts) -> Result<Response, Refusal> {
    let offered = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|one| one.trim() == PROTOCOL)
    };
    if !parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(offered) {
        return Err(Refusal::bad_request(
            "Sec-WebSocket-Protocol should be graphql-transport-ws",
        ));
    }
    // Of several the library might take the older protocol, which is not spoken here.
    parts
        .headers
        .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    let shown = shown(&state, &parts).await?;
    let protocol = GraphQLProtocol::from_request_parts(&mut parts, &())
        .await
        .map_err(|status| Refusal::bad(status, "Sec-WebSocket-Protocol should be graphql-transport-ws"))?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|why| Refusal::bad(StatusCode::BAD_REQUEST, format!("no WebSocket comes of this: {why}")))?;
    let connection = Connection {
        closing: state.sockets.0.subscribe(),
        limit: state.settings.answer_time,
        backend: Arc::clone(&state.backend),
        shown,
        origin,
    };
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(state.settings.body_bytes)
        .max_frame_size(state.settings.body_bytes)
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    // The span ends with the request, and what is logged later should still say whose it was.
    let span = tracing::Span::current();
    Ok(upgrade.on_upgrade(move |socket| connection.run(socket, protocol).instrument(span)))
}

/// What the request to upgrade shows for its identity.
#[derive(Debug)]
struct Shown {
    secret: BearerSecret,
    is_cookie: bool,
}

async fn shown(state: &HttpState, parts: &Parts) -> Result<Option<Shown>, Refusal> {
    match Credentials::of(&parts.headers) {
        Credentials::None | Credentials::Cookie(None) => Ok(None),
        Credentials::Malformed(why) => Err(Refusal::unauthenticated(why)),
        Credentials::Bearer(secret) => {
            let found = in_time(state, state.backend.identify(&secret)).await?;
            match found.map_err(no_identity)? {
                Some(_) => Ok(Some(Shown {
                    secret,
                    is_cookie: false,
                })),
                None => Err(Refusal::unauthenticated(NOT_VALID)),
            }
        }
        Credentials::Cookie(Some(secret)) => match state.own_origins.check_upgrade(&parts.headers, &parts.uri) {
            Ok(()) => Ok(Some(Shown {
                secret: BearerSecret::Session(secret),
                is_cookie: true,
            })),
            // Its pages may show a bearer; the cookie that the browser adds is not theirs to use.
            Err(_) if is_allowed(state, &parts.headers) => Ok(None),
            Err(why) => Err(Refusal::forbidden(format!(
                "a WebSocket with the session's cookie must come from the same origin: {why}"
            ))),
        },
    }
}

/// Does the request come from a page of `http.allowed_origins`?
fn is_allowed(state: &HttpState, headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    origin.is_some_and(|origin| state.settings.allowed_origins.iter().any(|allowed| allowed == origin))
}

/// What a connection needs.
struct Connection {
    backend: Arc<dyn Backend>,
    origin: EventOrigin,
    shown: Option<Shown>,
    /// True when the server stops.
    closing: watch::Receiver<bool>,
    /// How long it may take to find out who somebody is.
    limit: Duration,
}

impl Connection {
    /// From the upgrade to the end.
    async fn run(self, socket: WebSocket, protocol: GraphQLProtocol) {
        let Self {
            backend,
            origin,
            shown,
            mut closing,
            limit,
        } = self;
        let talk = Arc::new(Talk::new());
        let (mut sink, mut stream) = socket.split();
        // One message at a time: what is not sent yet is still asked about.
        let (queue, mut queued) = mpsc::channel(1);
        let (admitted, admission) = oneshot::channel();
        let ending = {
            let operations = Operations {
                backend: Arc::clone(&backend),
                origin,
                talk: Arc::clone(&talk),
                place: Arc::default(),
            };
            let output = sink::unfold(queue, async |queue: mpsc::Sender<Message>, message| {
                queue.send(message).await.map(|()| queue)
            });
            let input = input(&mut stream, Arc::clone(&talk));
            let (place, heard) = (Arc::clone(&operations.place), Arc::clone(&talk));
            let serving = GraphQLWebSocket::new_with_pair(output, input, operations, protocol)
                .on_connection_init(move |payload| async move {
                    match admit(backend.as_ref(), shown, &payload, limit).await {
                        Ok(found) => {
                            let _ = place.set(found.clone()); // set here only, and this runs once
                            let _ = admitted.send(found); // Err: it is ending
                            heard.acknowledge();
                            Ok(Data::default())
                        }
                        Err(ending) => {
                            heard.end(ending);
                            Err(async_graphql::Error::new("refused"))
                        }
                    }
                })
                .serve();
            let serving = async {
                serving.await;
                pending::<()>().await; // the last message may still be in the queue
            };
            tokio::select! {
                biased;
                _ = closing.wait_for(|is_closing| *is_closing) => Some(Ending::STOPPING),
                ending = stay(admission) => Some(ending),
                () = silence(&talk) => Some(Ending::SILENT),
                () = serving => None,
                ending = write(&mut sink, &mut queued, &talk) => ending,
            }
        };
        if let Some(ending) = &ending {
            tracing::debug!(code = ending.code, reason = %ending.reason, "a WebSocket is closed");
        }
        let closing = async {
            if let Some(ending) = ending {
                let _ = sink.send(Message::Close(Some(ending.frame()))).await; // Err: it is closed already
            }
            let _ = sink.close().await;
            // What still comes is read away, so that the end is not lost with it.
            while let Some(Ok(_)) = stream.next().await {}
        };
        let _ = timeout(CLOSE_TIME, closing).await; // whoever takes longer is cut off
    }
}

/// Who is admitted with what the client showed; `None`: nobody.
async fn admit(
    backend: &dyn Backend,
    shown: Option<Shown>,
    payload: &Value,
    limit: Duration,
) -> Result<Option<Place>, Ending> {
    let authorization = payload
        .as_object()
        .and_then(|map| map.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")));
    let shown = match authorization {
        Some((_, value)) => match Credentials::of_authorization(value.as_str().unwrap_or_default()) {
            Credentials::Bearer(secret) => Some(Shown {
                secret,
                is_cookie: false,
            }),
            Credentials::None | Credentials::Malformed(_) | Credentials::Cookie(_) => return Err(Ending::FORBIDDEN),
        },
        None => shown,
    };
    let Some(Shown { secret, is_cookie }) = shown else {
        return Ok(None);
    };
    match timeout(limit, backend.enter(&secret)).await {
        Ok(Ok(Some(place))) => Ok(Some(place)),
        // As with a request: a cookie that opens nothing is as none.
        Ok(Ok(None)) if is_cookie => Ok(None),
        Ok(Ok(None)) => Err(Ending::FORBIDDEN),
        Ok(Err(error)) => {
            tracing::error!(%error, "whose WebSocket it is could not be found out");
            Err(match error {
                ServiceError::Store(StoreError::Unavailable(_)) | ServiceError::Stopped(_) => Ending::TRY_LATER,
                ServiceError::Store(_)
                | ServiceError::Problems(_)
                | ServiceError::Denied(_)
                | ServiceError::Hash(_)
                | ServiceError::Entropy(_)
                | ServiceError::Mail(_) => Ending::INTERNAL,
            })
        }
        Err(_) => Err(Ending::TRY_LATER),
    }
}

/// Waits until the client must go: nothing showed who it is in time, or it may not stay.
async fn stay(admission: oneshot::Receiver<Option<Place>>) -> Ending {
    match timeout(INIT_TIME, admission).await {
        Err(_) => Ending::NO_INIT,
        Ok(Ok(Some(place))) => match place.gone().await {
            Gone::Ended => Ending::ENDED,
            Gone::Unconfirmed => Ending::TRY_LATER,
        },
        // Nobody may stay, and is told nothing. A refusal is said elsewhere.
        Ok(Ok(None) | Err(_)) => pending().await,
    }
}

/// Waits until nothing was heard for too long.
async fn silence(talk: &Talk) {
    loop {
        match SILENCE.checked_sub(talk.silent_for()) {
            Some(left) if !left.is_zero() => sleep(left).await,
            _ => return,
        }
    }
}

/// What the client says, as far as it keeps to the protocol.
fn input(
    stream: &mut SplitStream<WebSocket>,
    talk: Arc<Talk>,
) -> impl Stream<Item = Result<Message, axum::Error>> + Send {
    stream::unfold((stream, talk), async |(stream, talk)| {
        loop {
            let message = match stream.next().await? {
                Ok(message) => message,
                Err(error) => {
                    tracing::debug!(%error, "a WebSocket cannot be read");
                    talk.end(Ending::UNREADABLE);
                    return None;
                }
            };
            match talk.hear(&message) {
                Heard::PassOn => return Some((Ok(message), (stream, talk))),
                Heard::Ignore => {}
                Heard::End => return None,
            }
        }
    })
}

/// Sends what there is to say, and asks now and then whether the client is there. `None`: the client ended it.
async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    queued: &mut mpsc::Receiver<Message>,
    talk: &Talk,
) -> Option<Ending> {
    let mut pings = interval_at(Instant::now() + PING, PING);
    loop {
        let message = tokio::select! {
            message = queued.recv() => match message {
                // The library says so of what it cannot read, and of what was refused here.
                Some(Message::Close(frame)) => {
                    let why = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                    return Some(talk.ending().unwrap_or_else(|| Ending::bad_message(&why)));
                }
                Some(message) => message,
                None => return talk.ending(),
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return None;
        }
    }
}

/// Runs what a connection subscribes to.
#[derive(Clone)]
struct Operations {
    backend: Arc<dyn Backend>,
    origin: EventOrigin,
    talk: Arc<Talk>,
    /// Set once the client is admitted.
    place: Arc<OnceLock<Option<Place>>>,
}

impl Executor for Operations {
    /// The library asks for streams only.
    async fn execute(&self, request: async_graphql::Request) -> GraphqlResponse {
        let mut answers = self.execute_stream(request, None);
        answers.next().await.unwrap_or_default()
    }

    fn execute_stream(
        &self,
        request: async_graphql::Request,
        _: Option<Arc<Data>>,
    ) -> BoxStream<'static, GraphqlResponse> {
        let open = self.talk.begin();
        if self.talk.is_over_limit() {
            let mut error = ServerError::new(
                format!("over {MAX_OPEN} subscriptions are open on this connection; end one first"),
                None,
            );
            error
                .extensions
                .get_or_insert_with(Default::default)
                .set("code", "BAD_REQUEST");
            return stream::iter([GraphqlResponse::from_errors(vec![error])]).boxed();
        }
        let place = self.place.get().cloned().flatten();
        let answers = self.backend.subscribe(request, place, self.origin.clone());
        answers
            .map(move |answer| {
                let _ = &open; // as long as the stream lives
                answer
            })
            .boxed()
    }
}
