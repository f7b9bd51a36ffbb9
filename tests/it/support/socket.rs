//! A WebSocket client that speaks `graphql-transport-ws`, and anything else that a test makes it say.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// Long enough for whatever comes to have come.
const A_WHILE: Duration = Duration::from_millis(1_200);

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TcpStream>);

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A message.
    Said(Value),
    /// The end, with its code; 1006 when there was none.
    Closed(u16),
}

impl Socket {
    /// Connects to a server at `http://…`; a refusal is its status.
    pub async fn connect(url: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let address = url.strip_prefix("http://").unwrap();
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        let ours = [("sec-websocket-protocol", "graphql-transport-ws")];
        for (name, value) in ours.iter().chain(headers) {
            let name: HeaderName = name.parse().unwrap();
            request
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, response)) => {
                assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
                Ok(Self(socket))
            }
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    /// Connects with that bearer in `connection_init`; `None`: with none.
    pub async fn open(url: &str, token: Option<&str>) -> Self {
        let mut socket = Self::connect(url, &[]).await.unwrap();
        let payload = match token {
            Some(token) => json!({ "Authorization": format!("Bearer {token}") }),
            None => json!({}),
        };
        assert_eq!(
            socket.init(payload).await,
            Heard::Said(json!({ "type": "connection_ack" }))
        );
        socket
    }

    /// Sends `connection_init`, and gives the answer.
    pub async fn init(&mut self, payload: Value) -> Heard {
        self.say(json!({ "type": "connection_init", "payload": payload })).await;
        self.next().await
    }

    pub async fn say(&mut self, message: Value) {
        self.say_text(&message.to_string()).await;
    }

    pub async fn say_text(&mut self, text: &str) {
        let _ = self.0.send(Message::text(text)).await; // it may be closed
    }

    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(json!({ "type": "subscribe", "id": id, "payload": payload }))
            .await;
        // The server takes messages in their order: when it answers, it has begun.
        self.say(json!({ "type": "ping" })).await;
        let pong = self.next().await;
        assert_eq!(pong, Heard::Said(json!({ "type": "pong" })));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    /// The next message or the end.
    pub async fn next(&mut self) -> Heard {
        self.within(SOON).await.expect("something to come in time")
    }

    /// The same; `None` when nothing comes for that long.
    pub async fn within(&mut self, limit: Duration) -> Option<Heard> {
        let waiting = async {
            loop {
                return match self.0.next().await {
                    Some(Ok(Message::Text(text))) => Heard::Said(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(frame))) => Heard::Closed(frame.map_or(1005, |frame| frame.code.into())),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => Heard::Closed(1006),
                };
            }
        };
        tokio::time::timeout(limit, waiting).await.ok()
    }

    /// The data of the next event of that subscription.
    pub async fn event(&mut self, id: &str) -> Value {
        match self.next().await {
            Heard::Said(message) if message["type"] == "next" && message["id"] == id => {
                let payload = &message["payload"];
                assert!(payload.get("errors").is_none(), "{message:#}");
                payload["data"].clone()
            }
            other => panic!("no event of {id}: {other:?}"),
        }
    }

    /// The extensions of the first error that a subscription answers with, before it is over.
    pub async fn refusal(&mut self, id: &str) -> Value {
        let message = match self.next().await {
            Heard::Said(message) if message["id"] == id => message,
            other => panic!("no refusal of {id}: {other:?}"),
        };
        let complete = self.next().await;
        assert_eq!(complete, Heard::Said(json!({ "type": "complete", "id": id })));
        let extensions = &message["payload"]["errors"][0]["extensions"];
        assert!(extensions.is_object(), "{message:#}");
        extensions.clone()
    }

    /// Nothing comes for a while.
    pub async fn is_silent(&mut self) {
        let heard = self.within(A_WHILE).await;
        assert_eq!(heard, None);
    }

    /// How it ends, whatever comes before.
    pub async fn end(&mut self) -> u16 {
        loop {
            if let Heard::Closed(code) = self.next().await {
                return code;
            }
        }
    }
}
