//! The README's examples, run as a reader would run them: block after block in one shell, the server beside it.
//!
//! A block whose first line is `# test: FLOW` is run; `# test: FLOW server` is the command that the flow's server is
//! started with. A `text` block after it is what must come out, with `…` for what differs from run to run.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::support::free_port;
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, Serving};
use crate::support::slapd::{self, Slapd, SlapdOptions};
use crate::support::turn;

/// Where the README's server listens; replaced by a free port.
const ADDRESS: &str = "127.0.0.1:8080";
/// Where the reader puts the password that the first start shows.
const ONE_TIME: &str = "the one-time password";
/// The README's store; replaced by a database of the shared replica set.
const DATABASE: &str = "mongodb://127.0.0.1:27017/doorward?replicaSet=rs0";
/// The README's directory; replaced by a server of the test's own.
const DIRECTORY: &str = "ldap://ldap.example.org";
/// Where the reader puts a password that is the directory's.
const DIRECTORY_PASSWORD: &str = "the password of member in the directory";

#[test]
fn the_quick_start_is_as_it_says() {
    let _turn = turn::shared();
    let mut flow = Flow::new("embedded");
    flow.run();
    assert_eq!((flow.ran, flow.compared), (6, 6), "the README's blocks of this flow");
}

#[test]
fn mongodb_and_a_directory_are_as_it_says() {
    let _turn = turn::shared();
    let database = fresh_database();
    let slapd = Slapd::start(SlapdOptions::default());
    let mut flow = Flow::new("mongodb");
    // What the README says is expected to be there.
    fs::copy(slapd.ca_file(), flow.doorward.folder().join("ca.pem")).unwrap();
    let reader_password = format!("{}\n", slapd::READER_PASSWORD);
    fs::write(flow.doorward.folder().join("reader-password"), reader_password).unwrap();
    flow.replace(DATABASE, &database.url);
    flow.replace(DIRECTORY, &slapd.url());
    flow.replace(DIRECTORY_PASSWORD, slapd::PASSWORD);
    flow.run();
    assert_eq!((flow.ran, flow.compared), (6, 3), "the README's blocks of this flow");
    assert_eq!(slapd.bind_results(49), 1, "one wrong password is one refused bind");
}

#[test]
fn only_what_is_left_open_may_differ() {
    let _turn = turn::shared();
    for (expected, found, matches) in [
        ("a … c", "a b c", true),
        ("a … c", "a  c", false),
        ("a …", "a b", true),
        ("{\"at\":\"…\",\"x\":1}", "{\"at\":\"now\",\"x\":1}", true),
        ("{\"at\":\"…\",\"x\":1}", "{\"at\":\"now\",\"y\":2,\"x\":1}", false),
        ("…\nb", "a\nb", true),
        ("…b", "a\nb", false),
        ("a", "ab", false),
    ] {
        assert_eq!(is_like(expected, found), matches, "{expected:?} and {found:?}");
    }
}

/// One block of a flow.
#[derive(Debug)]
struct Block {
    /// The flow's server is started with it.
    is_server: bool,
    text: String,
    /// What it must say.
    expected: Option<String>,
}

/// The README's blocks of a flow, in its order.
fn blocks(flow: &str) -> Vec<Block> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    // Whether the last block of the README that was run was this flow's, so that a `text` block belongs to it.
    let mut is_open = false;
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let fenced: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if language == "text" && is_open {
            blocks.last_mut().unwrap().expected = Some(fenced.join("\n"));
        }
        is_open = false;
        let marker = fenced.first().and_then(|line| line.strip_prefix("# test: "));
        if let ("sh", Some(marker)) = (language, marker) {
            let (name, is_server) = match marker.strip_suffix(" server") {
                Some(name) => (name, true),
                None => (marker, false),
            };
            assert!(["embedded", "mongodb"].contains(&name), "no flow has the name {name}");
            if name == flow {
                is_open = true;
                blocks.push(Block {
                    is_server,
                    text: fenced[1..].join("\n"),
                    expected: None,
                });
            }
        }
    }
    blocks
}

/// A reader with a folder and a server's address, who goes through the blocks.
#[derive(Debug)]
struct Flow {
    blocks: Vec<Block>,
    doorward: Doorward,
    address: SocketAddr,
    /// What the README says, and what it is here.
    replacements: Vec<(&'static str, String)>,
    ran: usize,
    compared: usize,
}

impl Flow {
    fn new(name: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut flow = Self {
            blocks: blocks(name),
            doorward: Doorward::new(),
            address,
            replacements: Vec::new(),
            ran: 0,
            compared: 0,
        };
        flow.replace(ADDRESS, &address.to_string());
        flow
    }

    fn replace(&mut self, written: &'static str, here: &str) {
        assert!(
            self.blocks.iter().any(|block| block.text.contains(written)),
            "{written:?} is not in the README's blocks"
        );
        self.replacements.push((written, here.to_owned()));
    }

    fn here(&self, text: &str) -> String {
        self.replacements
            .iter()
            .fold(text.to_owned(), |text, (written, here)| text.replace(written, here))
    }

    fn run(&mut self) {
        let mut terminal = Terminal::open(self.doorward.folder());
        let mut server: Option<Serving> = None;
        for block in std::mem::take(&mut self.blocks) {
            let text = self.here(&block.text);
            self.ran += 1;
            let said = if block.is_server {
                assert!(server.is_none(), "a flow has one server");
                let said = self.start(&text, &mut server);
                let password = password_in(&said).map(str::to_owned);
                self.replacements.extend(password.map(|password| (ONE_TIME, password)));
                said
            } else {
                terminal.run(&text)
            };
            if let Some(expected) = block.expected {
                self.compared += 1;
                let expected = self.here(&expected);
                let is_said = if block.is_server {
                    lines_are_in(&expected, &said)
                } else {
                    is_like(&expected, said.trim_end())
                };
                assert!(is_said, "{text}\n\nshould say\n{expected}\n\nand says\n{said}");
            }
        }
        assert!(server.is_some(), "a flow has a server");
    }

    /// Starts the server as the block says, and gives what it said until it was ready.
    fn start(&self, command: &str, server: &mut Option<Serving>) -> String {
        let args: &[&str] = match command {
            "cargo run --release" => &[],
            "doorward serve" => &["serve"],
            other => panic!("a server is not started with {other:?}"),
        };
        let serving = server.insert(self.doorward.serve_at(args, self.address));
        serving.wait_until(|serving| password_in(serving.stderr()).is_some());
        serving.stderr().to_owned()
    }
}

fn password_in(said: &str) -> Option<&str> {
    said.lines()
        .find_map(|line| line.trim().strip_prefix("Password:"))
        .map(str::trim)
}

/// A shell that reads one block after the other, as a terminal does; with `-e`, so that a command that fails ends it.
#[derive(Debug)]
struct Terminal {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Comes after what a block says.
const END: u8 = 0x1e;

impl Terminal {
    fn open(folder: &Path) -> Self {
        let binaries = Path::new(env!("CARGO_BIN_EXE_doorward")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash")
            .args(["-euo", "pipefail", "-s"])
            .current_dir(folder)
            .env_clear()
            .env("PATH", format!("{}:{path}", binaries.display()))
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = shell.stdin.take().unwrap();
        // What goes wrong is shown in its place.
        input.write_all(b"exec 2>&1\n").unwrap();
        Self {
            output: BufReader::new(shell.stdout.take().unwrap()),
            input,
            shell,
        }
    }

    /// What the block says, when every command of it ends well.
    fn run(&mut self, block: &str) -> String {
        // The commands must not read the blocks that follow.
        let piece = format!("{{\n{block}\n}} </dev/null\nprintf '\\{END:o}'\n");
        self.input.write_all(piece.as_bytes()).unwrap();
        let mut said = Vec::new();
        self.output.read_until(END, &mut said).unwrap();
        let is_whole = said.pop_if(|last| *last == END).is_some();
        let said = String::from_utf8(said).unwrap();
        assert!(is_whole, "{block}\n\nfails, and says\n{said}");
        said
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill(); // it may have ended
        let _ = self.shell.wait();
    }
}

/// Is every line of the one there in the other, but for indentation?
fn lines_are_in(expected: &str, said: &str) -> bool {
    let wanted = |line: &str| said.lines().any(|found| is_like(line.trim(), found.trim()));
    expected.lines().all(wanted)
}

/// Is it the same, but for what `…` stands for: one character or more, of one line and one JSON text?
fn is_like(expected: &str, found: &str) -> bool {
    let Some((before, after)) = expected.split_once('…') else {
        return expected == found;
    };
    let Some(rest) = found.strip_prefix(before) else {
        return false;
    };
    let ends = rest.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    ends.take_while(|(_, c)| !matches!(c, '\n' | '"'))
        .any(|(end, _)| is_like(after, &rest[end..]))
}
