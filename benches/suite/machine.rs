//! Where it was measured.

use std::fs;
use std::process::Command;
use std::thread;

use crate::support::variable;

/// Cores, processor, memory and the servers' versions, in one line.
pub fn description() -> String {
    let cores = cores();
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "an unknown processor".to_owned());
    let memory = kibibytes("/proc/meminfo", "MemTotal").map_or(0.0, |kib| kib / 1024.0 / 1024.0);
    let mongod = version(&variable("DOORWARD_TEST_MONGOD"));
    let node = version("node");
    format!("{cores} cores ({model}), {memory:.0} GiB; mongod {mongod}, Node.js {node}; all on this machine")
}

/// The threads that can run at once.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// As many threads as the gateway hashes on by default.
pub fn hash_threads() -> usize {
    cores().saturating_sub(1).max(1)
}

/// What a process holds of the memory, in MB.
pub fn resident(process: u32) -> f64 {
    let kib = kibibytes(&format!("/proc/{process}/status"), "VmRSS").expect("the process runs");
    kib * 1024.0 / 1e6
}

fn kibibytes(file: &str, name: &str) -> Option<f64> {
    field(file, name)?.strip_suffix("kB")?.trim().parse().ok()
}

/// The value of the first `name: value`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

/// The first word with a number in it of what a program says of its version.
fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map_or_else(
        |_| "none".to_owned(),
        |o| String::from_utf8_lossy(&o.stdout).into_owned(),
    );
    let numbered = text
        .split_whitespace()
        .find(|word| word.starts_with('v') && word.contains('.'));
    numbered
        .map_or(text.trim(), |word| word.trim_start_matches('v'))
        .to_owned()
}
