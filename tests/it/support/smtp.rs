//! A real mail server, private to one test, that fails the way the test tells it to: a temporary folder, a free loopback
//! port, ended when it is dropped. What it does is in `tests/mail-server/server.mjs`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::free_port;
use super::tls::write_certificates;

/// Who signs in, where somebody has to.
pub const USER: &str = "doorward";
/// The password of [`USER`].
pub const PASSWORD: &str = "mail horse battery";

/// Long enough for two busy cores; it is up after a moment.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at what has arrived.
const STEP: Duration = Duration::from_millis(20);

/// How connections are protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerTls {
    /// In clear until the client says STARTTLS; nobody signs in before.
    #[default]
    StartTls,
    /// From the first byte.
    Implicit,
    /// Not at all.
    None,
}

/// Who may send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerAuth {
    /// [`USER`], by AUTH PLAIN or AUTH LOGIN.
    #[default]
    Any,
    /// [`USER`], by AUTH LOGIN.
    Login,
    /// Everybody; there is no AUTH.
    None,
}

/// How a server differs from the usual one, which wants STARTTLS and a user.
#[derive(Debug, Clone, Copy, Default)]
pub struct MailServerOptions {
    pub tls: ServerTls,
    pub auth: ServerAuth,
}

/// Where in a session something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In place of the greeting.
    Greeting,
    /// At MAIL.
    Mail,
    /// At RCPT.
    Recipient,
    /// At DATA, when some of the message has come.
    Body,
    /// At the end of DATA, before the message is kept.
    End,
    /// When the message is kept, before the answer that says so.
    Stored,
}

impl Stage {
    /// What it is called in [`MailServer::events`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Mail => "mail",
            Self::Recipient => "recipient",
            Self::Body => "body",
            Self::End => "end",
            Self::Stored => "stored",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// The answer is 451; 421 as a greeting.
    Defer(Stage),
    /// No answer comes, and the connection stays open, also when the behaviour has changed.
    Hang(Stage),
    /// The connection is closed without an answer.
    Drop(Stage),
    /// 550 to recipients whose address contains this.
    Reject(&'static str),
    /// 535 to everybody who signs in.
    RefuseAuth,
    /// A wait before each stage.
    Slow(Duration),
}

impl Behaviour {
    fn json(self) -> Value {
        match self {
            Self::Defer(stage) => json!({ "kind": "defer", "at": stage.name() }),
            Self::Hang(stage) => json!({ "kind": "hang", "at": stage.name() }),
            Self::Drop(stage) => json!({ "kind": "drop", "at": stage.name() }),
            Self::Reject(part) => json!({ "kind": "reject", "address": part }),
            Self::RefuseAuth => json!({ "kind": "refuseAuth" }),
            Self::Slow(wait) => json!({ "kind": "slow", "ms": wait.as_millis() }),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct MailServer {
    folder: TempDir,
    options: MailServerOptions,
    port: u16,
    child: Option<Child>,
}

impl MailServer {
    /// Starts a server that takes everything.
    ///
    /// # Panics
    /// When Node.js or the server's packages are not there, or it does not come up.
    pub fn start(options: MailServerOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("mail-server-").tempdir().unwrap();
        write_certificates(folder.path());
        let methods: &[&str] = match options.auth {
            ServerAuth::Any => &["PLAIN", "LOGIN"],
            ServerAuth::Login => &["LOGIN"],
            ServerAuth::None => &[],
        };
        let tls = match options.tls {
            ServerTls::StartTls => "starttls",
            ServerTls::Implicit => "implicit",
            ServerTls::None => "none",
        };
        let json = json!({ "tls": tls, "authMethods": methods, "user": USER, "password": PASSWORD });
        fs::write(folder.path().join("options.json"), json.to_string()).unwrap();
        let mut server = Self {
            folder,
            options,
            port: 0,
            child: None,
        };
        server.behave(&[]);
        // Another process may take a port between finding it and using it.
        let started = (0..5).any(|_| {
            server.port = free_port();
            server.run()
        });
        assert!(started, "the mail server does not start: {}", server.errors());
        server
    }

    /// As `mail.url` takes it, with [`USER`] where somebody has to sign in.
    pub fn url(&self) -> String {
        let user = match self.options.auth {
            ServerAuth::None => "",
            ServerAuth::Any | ServerAuth::Login => "doorward@",
        };
        let port = self.port;
        match self.options.tls {
            ServerTls::StartTls => format!("smtp://{user}127.0.0.1:{port}"),
            ServerTls::Implicit => format!("smtps://{user}127.0.0.1:{port}"),
            ServerTls::None => format!("smtp://{user}127.0.0.1:{port}?tls=none"),
        }
    }

    /// The port behind [`Self::url`], on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The private authority that signed its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What goes wrong from now on, in place of what did; with nothing it takes everything. Holds over a restart.
    pub fn behave(&self, behaviours: &[Behaviour]) {
        let json: Vec<Value> = behaviours.iter().map(|behaviour| behaviour.json()).collect();
        let path = self.folder.path().join("behaviour.json");
        let partial = path.with_extension("partial");
        fs::write(&partial, Value::from(json).to_string()).unwrap();
        fs::rename(&partial, &path).unwrap();
    }

    /// Ends it as a crash would (SIGKILL), with all its connections; what it has kept stays.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill(); // it may have ended
            let _ = child.wait();
        }
    }

    /// Starts it again on its port and with what it has kept.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        while !self.run() {
            assert!(
                Instant::now() < deadline,
                "the mail server does not start again: {}",
                self.errors()
            );
        }
    }

    /// What was accepted so far, in that order.
    pub fn messages(&self) -> Vec<Received> {
        let folder = self.folder.path().join("mail");
        let answered: Vec<u64> = self
            .events("answered")
            .iter()
            .filter_map(|e| e["id"].as_u64())
            .collect();
        self.ids()
            .into_iter()
            .map(|id| {
                let json = fs::read(folder.join(format!("{id}.json"))).unwrap();
                let raw = fs::read(folder.join(format!("{id}.eml"))).unwrap();
                let message = MessageParser::default().parse(&raw).expect("a message");
                Received {
                    id,
                    envelope: serde_json::from_slice(&json).unwrap(),
                    was_answered: answered.contains(&id),
                    message: message.into_owned(),
                }
            })
            .collect()
    }

    /// Waits until that many messages have been accepted, or more, and gives them. It blocks its thread: what sends them runs
    /// on another one, or in another process.
    ///
    /// # Panics
    /// When they have not come within `limit`.
    #[track_caller]
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<Received> {
        let deadline = Instant::now() + limit;
        while self.ids().len() < count {
            assert!(
                Instant::now() < deadline,
                "{} messages of {count} came; {} connections; {}",
                self.ids().len(),
                self.connections(),
                self.errors()
            );
            thread::sleep(STEP);
        }
        self.messages()
    }

    /// How many connections were opened to it, over all its runs.
    pub fn connections(&self) -> usize {
        self.events("connect").len()
    }

    /// What it noted of one kind, in order; the kinds are in `server.mjs`.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("events")).unwrap_or_default();
        // A line is written at once, but the one before a crash may be cut.
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["event"] == kind)
            .collect()
    }

    fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = fs::read_dir(self.folder.path().join("mail"))
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".json")?.parse().ok())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Whether it starts.
    fn run(&mut self) -> bool {
        self.kill();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail-server");
        assert!(
            program.join("node_modules").is_dir(),
            "npm ci in tests/mail-server, as tests/run does"
        );
        let runs = self.events("listening").len();
        let mut child = Command::new("node")
            .arg(program.join("server.mjs"))
            .arg(self.folder.path())
            .arg(self.port.to_string())
            // It ends with its standard input: with the test, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(self.folder.path().join("errors")).unwrap())
            .spawn()
            .unwrap_or_else(|e| panic!("node ({e}): Node.js has to be installed"));
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            if self.events("listening").len() > runs {
                self.child = Some(child);
                return true;
            }
            thread::sleep(STEP);
        }
        let _ = child.kill(); // it may have ended
        let _ = child.wait();
        false
    }

    /// What it complained about since it was last started.
    fn errors(&self) -> String {
        fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a message was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Envelope {
    /// Of MAIL.
    pub from: String,
    /// Of each RCPT that was accepted.
    pub to: Vec<String>,
    /// Whether the connection was encrypted.
    pub tls: bool,
    /// Who had signed in.
    pub user: Option<String>,
    /// When it was kept.
    pub at: Timestamp,
}

/// A message that the server accepted.
#[derive(Debug)]
pub struct Received {
    /// Counted from 1 on.
    pub id: u64,
    pub envelope: Envelope,
    /// Whether the answer that says so was handed to the network. Without it the sender cannot know, and may send it again.
    pub was_answered: bool,
    /// For all that is not below.
    pub message: Message<'static>,
}

/// An image in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `image/png`
    pub kind: String,
    /// What `cid:` in the HTML refers to.
    pub content_id: Option<String>,
    pub bytes: Vec<u8>,
}

impl Received {
    /// Byte for byte.
    pub fn raw(&self) -> &[u8] {
        self.message.raw_message()
    }

    /// Every header as it was sent, unfolded: name and value, in order.
    pub fn headers(&self) -> Vec<(String, String)> {
        self.message
            .headers_raw()
            .map(|(name, value)| {
                let lines: Vec<&str> = value.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                (name.to_owned(), lines.join(" "))
            })
            .collect()
    }

    /// The value of a header as it was sent, unfolded.
    ///
    /// # Panics
    /// When it comes more than once, which none of ours may.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut found = self.headers();
        found.retain(|(other, _)| other.eq_ignore_ascii_case(name));
        assert!(found.len() <= 1, "{found:?}");
        found.pop().map(|(_, value)| value)
    }

    /// Decoded.
    #[track_caller]
    pub fn subject(&self) -> &str {
        self.message.subject().expect("a subject")
    }

    /// The part that is plain text, decoded.
    #[track_caller]
    pub fn text(&self) -> &str {
        self.part(|body| match body {
            PartType::Text(text) => Some(text),
            _ => None,
        })
        .expect("a part in plain text")
    }

    /// The part that is HTML, decoded.
    #[track_caller]
    pub fn html(&self) -> &str {
        self.part(|body| match body {
            PartType::Html(text) => Some(text),
            _ => None,
        })
        .expect("a part in HTML")
    }

    /// All images, in order.
    pub fn images(&self) -> Vec<Image> {
        let images = self.message.parts.iter().filter_map(|part| {
            let kind = part.content_type().filter(|kind| kind.ctype() == "image")?;
            Some(Image {
                kind: format!("image/{}", kind.subtype().unwrap_or_default()),
                content_id: part.content_id().map(str::to_owned),
                bytes: part.contents().to_vec(),
            })
        });
        images.collect()
    }

    fn part<'a>(&'a self, of: impl Fn(&'a PartType<'static>) -> Option<&'a str>) -> Option<&'a str> {
        self.message.parts.iter().find_map(|part| of(&part.body))
    }
}
