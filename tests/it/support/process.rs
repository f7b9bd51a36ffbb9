//! Runs the binary in a folder of its own, with nothing of this process's environment that could change it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::free_port;

/// Long and strange enough for every policy.
pub const PASSWORD: &str = "plaited harbour 94 velvet\n";

/// A busy machine with two cores may take long; a healthy one is there in a moment.
const LIMIT: Duration = Duration::from_secs(60);

/// The binary, over a fresh embedded store unless the environment says otherwise.
#[derive(Debug)]
pub struct Doorward {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// What it wrote, when it ended well.
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// As JSON, when it ended well.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.succeeds()).unwrap()
    }

    /// As JSON, however it ended.
    #[track_caller]
    pub fn parsed(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }

    /// The only line of its complaint, when it ended with that code.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.stderr
    }
}

impl Doorward {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("doorward-it-").tempdir().unwrap();
        // Cheap hashes and refusals at once: how long they take is not what is tested here.
        let variables = [
            ("DOORWARD_PASSWORD__MEMORY_KIB", "64"),
            ("DOORWARD_PASSWORD__ITERATIONS", "1"),
            ("DOORWARD_LIMITS__MIN_REFUSAL", "0s"),
        ];
        Self {
            folder,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    /// Over another store.
    pub fn over(url: &str) -> Self {
        let mut doorward = Self::new();
        doorward
            .variables
            .push(("DOORWARD_STORE__URL".to_owned(), url.to_owned()));
        doorward
    }

    /// Gives every run from now on a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Without limits on sign-ins, for those who sign in again and again.
    pub fn with_no_limits(&self) -> With<'_> {
        self.with("DOORWARD_LIMITS__SIGN_IN_PER_ADDRESS", "0")
            .with("DOORWARD_LIMITS__SIGN_IN_PER_LOGIN", "0")
    }

    /// Where it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One more variable, for what is run on the result.
    pub fn with<'a>(&'a self, name: &'a str, value: &'a str) -> With<'a> {
        With {
            doorward: self,
            variables: vec![(name, value)],
        }
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        self.run_with_input(args, "")
    }

    pub fn run_with_input(&self, args: &[&str], input: &str) -> Outcome {
        run(self.command(args), input)
    }

    /// Reads one byte and closes the pipe.
    pub fn run_and_hang_up(&self, args: &[&str]) -> Outcome {
        let mut child = self.command(args).stdin(Stdio::null()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        drop(stdout);
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Outcome {
            code: child.wait().unwrap().code(),
            stdout: String::new(),
            stderr,
        }
    }

    /// Starts `serve` or `demo` on a free port, and waits until it answers.
    pub fn serve(&self, args: &[&str]) -> Serving {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        self.serve_at(args, address)
    }

    pub fn serve_at(&self, args: &[&str], address: SocketAddr) -> Serving {
        serve(self.command(args), address)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            // A demonstration's folder must be seen to go.
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// See [`Doorward::with`].
#[derive(Debug)]
pub struct With<'a> {
    doorward: &'a Doorward,
    variables: Vec<(&'a str, &'a str)>,
}

impl<'a> With<'a> {
    pub fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        self.run_with_input(args, "")
    }

    pub fn run_with_input(&self, args: &[&str], input: &str) -> Outcome {
        run(self.command(args), input)
    }

    /// See [`Doorward::serve`].
    pub fn serve(&self, args: &[&str]) -> Serving {
        serve(self.command(args), SocketAddr::from(([127, 0, 0, 1], free_port())))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.doorward.command(args);
        command.envs(self.variables.iter().copied());
        command
    }
}

fn serve(mut command: Command, address: SocketAddr) -> Serving {
    let listen = address.to_string();
    command
        .env("DOORWARD_HTTP__LISTEN", &listen)
        .env("DOORWARD_HTTP__PUBLIC_URL", format!("http://{listen}"))
        .stdin(Stdio::null());
    let mut serving = Serving::new(command.spawn().unwrap(), address);
    serving.wait_until(|serving| {
        if let Some(status) = serving.child.try_wait().unwrap() {
            serving.stderr.drain();
            panic!("it ended, {status}: {}", serving.stderr());
        }
        get(address, "/healthz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    });
    serving
}

fn run(mut command: Command, input: &str) -> Outcome {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input.as_bytes()); // it need not want any
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A server that runs; it is killed with the value.
#[derive(Debug)]
pub struct Serving {
    pub child: Child,
    pub address: SocketAddr,
    stdout: Lines,
    stderr: Lines,
}

impl Serving {
    fn new(mut child: Child, address: SocketAddr) -> Self {
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self {
            child,
            address,
            stdout,
            stderr,
        }
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&mut self) -> &str {
        self.stderr.so_far()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&mut self) -> &str {
        self.stdout.so_far()
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn wait_until(&mut self, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !holds(self) {
            assert!(
                Instant::now() < deadline,
                "{}{}",
                self.stdout.so_far(),
                self.stderr.so_far()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal and waits for the end; answers the exit code and what it wrote to standard error.
    pub fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        let mut code = None;
        self.wait_until(|serving| {
            code = serving.child.try_wait().unwrap().map(|status| status.code());
            code.is_some()
        });
        self.stderr.drain();
        (code.unwrap(), self.stderr().to_owned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, read on a thread so that it never fills up.
#[derive(Debug)]
struct Lines {
    lines: mpsc::Receiver<String>,
    text: String,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            lines,
            text: String::new(),
        }
    }

    fn so_far(&mut self) -> &str {
        while let Ok(line) = self.lines.try_recv() {
            self.text.push_str(&line);
            self.text.push('\n');
        }
        &self.text
    }

    fn drain(&mut self) {
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }
}

/// The whole answer to a GET; `None` when nobody answers.
pub fn get(address: SocketAddr, path: &str) -> Option<String> {
    exchange(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
    )
}

/// The whole answer to a GraphQL request.
pub fn graphql(address: SocketAddr, body: &Value) -> Value {
    graphql_as(address, None, body).expect("an answer")
}

/// The whole answer to a GraphQL request with that token; `None` when the server went away first.
pub fn graphql_as(address: SocketAddr, token: Option<&str>, body: &Value) -> Option<Value> {
    serde_json::from_str(&graphql_text(address, token, body)?).ok()
}

/// The same, as it was written.
pub fn graphql_text(address: SocketAddr, token: Option<&str>, body: &Value) -> Option<String> {
    let body = body.to_string();
    let bearer = token
        .map(|t| format!("Authorization: Bearer {t}\r\n"))
        .unwrap_or_default();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{bearer}Content-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(address, &request)?;
    let (_, json) = answer.split_once("\r\n\r\n")?;
    Some(json.to_owned())
}

/// The token of a sign-in that must succeed.
#[track_caller]
pub fn token(address: SocketAddr, login: &str, password: &str) -> String {
    try_token(address, login, password).unwrap_or_else(|| panic!("{login} does not get in"))
}

/// The token of a sign-in, when it succeeds.
pub fn try_token(address: SocketAddr, login: &str, password: &str) -> Option<String> {
    let query =
        "mutation($l: String!, $p: String!) { signIn(input: {login: $l, password: $p}) { token userErrors { code } } }";
    let body = serde_json::json!({ "query": query, "variables": { "l": login, "p": password } });
    let answer = graphql_as(address, None, &body)?;
    answer["data"]["signIn"]["token"].as_str().map(str::to_owned)
}

/// The user errors' codes of a sign-in; none: signed in.
pub fn sign_in(address: SocketAddr, login: &str, password: &str) -> Vec<String> {
    let query = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code } } }";
    let input = serde_json::json!({ "login": login, "password": password });
    let answer = graphql(
        address,
        &serde_json::json!({ "query": query, "variables": { "input": input } }),
    );
    let payload = &answer["data"]["signIn"];
    assert!(payload["userErrors"].is_array(), "{answer}");
    let codes: Vec<String> = payload["userErrors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(payload["token"].is_string(), codes.is_empty(), "{answer}");
    codes
}

fn exchange(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
