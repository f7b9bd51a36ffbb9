//! What was said on a connection so far, and what may be said next.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Message;
use serde::Deserialize;
use tokio::time::Instant;

use super::Ending;

/// The most subscriptions that are open on a connection at a time.
pub(super) const MAX_OPEN: usize = 32;
/// The longest name of a subscription, in bytes; a UUID has 36.
const MAX_ID: usize = 256;

/// One connection's state.
#[derive(Debug)]
pub(super) struct Talk(Mutex<State>);

#[derive(Debug)]
struct State {
    heard_at: Instant,
    /// A `connection_init` came.
    is_initialised: bool,
    /// It was acknowledged.
    is_acknowledged: bool,
    /// The open subscriptions; the number tells one from an earlier one of the same name.
    open: HashMap<String, u64>,
    /// How many there ever were.
    begun: u64,
    /// The one that was asked for last, until it is run.
    asked: Option<(String, u64)>,
    ending: Option<Ending>,
}

/// What becomes of something that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is for the library.
    PassOn,
    /// It is for nobody.
    Ignore,
    /// It ends the connection.
    End,
}

/// What is looked at in a message; the rest is the library's to read.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

impl Talk {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            heard_at: Instant::now(),
            is_initialised: false,
            is_acknowledged: false,
            open: HashMap::new(),
            begun: 0,
            asked: None,
            ending: None,
        }))
    }

    /// Nothing that is written under this lock can be left half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes notice of a message.
    pub(super) fn hear(&self, message: &Message) -> Heard {
        let mut state = self.state();
        state.heard_at = Instant::now();
        let heard = match message {
            Message::Text(text) => state.hear_text(text),
            Message::Binary(_) => Err(Ending::bad_message("messages are text")),
            Message::Ping(_) | Message::Pong(_) => return Heard::Ignore,
            Message::Close(_) => return Heard::End,
        };
        match heard {
            Ok(()) => Heard::PassOn,
            Err(ending) => {
                state.ending.get_or_insert(ending);
                Heard::End
            }
        }
    }

    /// For how long nothing was heard.
    pub(super) fn silent_for(&self) -> Duration {
        self.state().heard_at.elapsed()
    }

    /// The `connection_init` was accepted.
    pub(super) fn acknowledge(&self) {
        self.state().is_acknowledged = true;
    }

    /// Says how the connection is to end; the first reason stands.
    pub(super) fn end(&self, ending: Ending) {
        self.state().ending.get_or_insert(ending);
    }

    /// How it is to end, when that was said.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.state().ending.clone()
    }

    /// Begins the subscription that was asked for; it is open as long as what is returned lives.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        Open {
            name: self.state().asked.take(),
            talk: Arc::clone(self),
        }
    }

    /// More are open than may be.
    pub(super) fn is_over_limit(&self) -> bool {
        self.state().open.len() > MAX_OPEN
    }
}

impl State {
    fn hear_text(&mut self, text: &str) -> Result<(), Ending> {
        let said: Said<'_> = serde_json::from_str(text)
            .map_err(|_| Ending::bad_message("a message is a JSON object with a type, and an id is a string"))?;
        match (&*said.kind, said.id) {
            ("connection_init", _) if self.is_initialised => return Err(Ending::TOO_MANY_INITS),
            ("connection_init", _) => self.is_initialised = true,
            ("subscribe" | "complete", None) => return Err(Ending::bad_message("the message should have an id")),
            ("subscribe", _) if !self.is_acknowledged => return Err(Ending::UNAUTHORIZED),
            ("subscribe", Some(id)) => self.subscribe(id.into_owned())?,
            ("complete", Some(id)) => {
                self.open.remove(&*id);
            }
            ("ping" | "pong", _) => {}
            _ => return Err(Ending::bad_message("there is no message of that type")),
        }
        Ok(())
    }

    fn subscribe(&mut self, id: String) -> Result<(), Ending> {
        if id.is_empty() || id.len() > MAX_ID {
            return Err(Ending::bad_message("an id has 1 to 256 bytes"));
        }
        if self.open.contains_key(&id) {
            return Err(Ending {
                code: 4409,
                reason: format!("Subscriber for {id} already exists").into(),
            });
        }
        self.begun += 1;
        self.open.insert(id.clone(), self.begun);
        self.asked = Some((id, self.begun));
        Ok(())
    }
}

/// A subscription that is open.
#[derive(Debug)]
pub(super) struct Open {
    talk: Arc<Talk>,
    name: Option<(String, u64)>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some((id, number)) = self.name.take() else {
            return;
        };
        let mut state = self.talk.state();
        if state.open.get(&id) == Some(&number) {
            state.open.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(talk: &Talk, text: &str) -> Heard {
        talk.hear(&Message::Text(text.into()))
    }

    /// The code with which a talk ends.
    fn ends(messages: &[&str]) -> Option<u16> {
        let talk = Talk::new();
        for message in messages {
            if said(&talk, message) == Heard::End {
                return talk.ending().map(|ending| ending.code);
            }
            if message.contains("connection_init") {
                talk.acknowledge();
            }
        }
        None
    }

    const INIT: &str = r#"{"type":"connection_init"}"#;
    const SUBSCRIBE: &str = r#"{"type":"subscribe","id":"a","payload":{"query":"x"}}"#;
    const COMPLETE: &str = r#"{"type":"complete","id":"a"}"#;

    #[test]
    fn what_breaks_the_protocol_has_its_code() {
        assert_eq!(ends(&[INIT, SUBSCRIBE, COMPLETE]), None);
        assert_eq!(ends(&[r#"{"type":"ping"}"#, r#"{"type":"pong","payload":{}}"#]), None);
        assert_eq!(ends(&[SUBSCRIBE]), Some(4401));
        assert_eq!(ends(&[INIT, INIT]), Some(4429));
        assert_eq!(ends(&[INIT, SUBSCRIBE, SUBSCRIBE]), Some(4409));
        for bad in [
            "",
            "[]",
            "null",
            "\"subscribe\"",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start","id":"a"}"#,
            r#"{"type":"stop","id":"a"}"#,
            r#"{"type":"connection_terminate"}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","id":""}"#,
            r#"{"type":"subscribe","id":7}"#,
            r#"{"type":"complete"}"#,
            &format!(r#"{{"type":"subscribe","id":"{}"}}"#, "x".repeat(257)),
        ] {
            assert_eq!(ends(&[INIT, bad]), Some(4400), "{bad}");
        }
        let talk = Talk::new();
        assert_eq!(talk.hear(&Message::Binary(INIT.into())), Heard::End);
        assert_eq!(talk.ending().map(|ending| ending.code), Some(4400));
    }

    #[test]
    fn a_name_is_free_again_once_its_subscription_is_over() {
        let talk = Arc::new(Talk::new());
        said(&talk, INIT);
        talk.acknowledge();
        assert_eq!(said(&talk, SUBSCRIBE), Heard::PassOn);
        let first = talk.begin();
        assert_eq!(said(&talk, COMPLETE), Heard::PassOn);
        assert_eq!(said(&talk, SUBSCRIBE), Heard::PassOn);
        let second = talk.begin();
        drop(first); // the end of an earlier one of the same name
        assert_eq!(talk.state().open.len(), 1);
        drop(second);
        assert_eq!(talk.state().open.len(), 0);
        assert_eq!(said(&talk, SUBSCRIBE), Heard::PassOn);
    }

    #[test]
    fn reasons_fit_into_a_close_frame() {
        let long = Ending::bad_message(&"é".repeat(200)).frame();
        assert!(long.reason.len() <= 123, "{}", long.reason.len());
        assert_eq!(Ending::FORBIDDEN.frame().reason.as_str(), "Forbidden");
    }
}
