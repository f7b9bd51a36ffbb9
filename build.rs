//! Builds the pages under `web/` with Node.js, for `src/http/playground.rs` to embed (feature `pages`).
//!
//! Everything built goes to `OUT_DIR`, so profiles do not disturb each other; `web/node_modules` is shared by all of them
//! and a lock makes concurrent builds take turns at it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the pages are made of; npm and Vite read nothing else under `web/`.
const SOURCES: [&str; 8] = [
    ".npmrc",
    "index.html",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "tsconfig.json",
    "vite.config.ts",
];

/// Holds the package-lock.json that `node_modules` was installed from; `npm ci` empties the folder first, so the stamp is
/// there only after an installation that went through.
const STAMP: &str = "node_modules/.installed-from";

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

const WAY_OUT: &str =
    "install Node.js 20.19+ or 22.12+ with npm, or build without the pages: cargo build --no-default-features";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_PAGES").is_none() {
        return;
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed=web/{source}");
    }
    if let Err(message) = build_pages() {
        // Cargo fails the build on this line alone, without the backtrace and exit status of a panic.
        println!("cargo::error={message}");
    }
}

fn build_pages() -> Result<(), String> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let web = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("web");
    check_node()?;

    let lock_path = web.join(".build.lock");
    let lock = File::create(&lock_path).map_err(|error| cannot("create", &lock_path, &error))?;
    lock.lock().map_err(|error| cannot("lock", &lock_path, &error))?;

    install(&web, &out_dir)?;
    let pages = out_dir.join("pages");
    npm(
        &web,
        &out_dir,
        &["run", "build", "--", "--emptyOutDir", "--logLevel", "warn", "--outDir"],
        Some(&pages),
    )
    // The lock ends with the file's handle.
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("{name} is not set: build.rs runs under Cargo only"))
}

/// Vite 8 needs Node.js 20.19+ or 22.12+; an older one fails with a syntax error that says nothing of the kind.
fn check_node() -> Result<(), String> {
    let output = Command::new("node")
        .arg("--version")
        .output()
        .map_err(|_| format!("the pages under web/ are built with Node.js, and `node` was not found: {WAY_OUT}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let fits = match (numbers.next(), numbers.next()) {
        (Some(20), Some(minor)) => minor >= 19,
        (Some(22), Some(minor)) => minor >= 12,
        (Some(major), Some(_)) => major > 22,
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "the pages under web/ cannot be built with Node.js {version}: {WAY_OUT}"
        ))
    }
}

/// Runs `npm ci` when `node_modules` is absent or was installed from another package-lock.json.
fn install(web: &Path, out_dir: &Path) -> Result<(), String> {
    let lockfile = web.join("package-lock.json");
    let wanted = fs::read(&lockfile).map_err(|error| cannot("read", &lockfile, &error))?;
    let stamp = web.join(STAMP);
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    // The build tools are development dependencies, which NODE_ENV=production would leave out.
    npm(web, out_dir, &["ci", "--include=dev"], None)?;
    fs::write(&stamp, wanted).map_err(|error| cannot("write", &stamp, &error))
}

/// Runs npm in `web`; when it fails, what it said is in a file and the message says which.
fn npm(web: &Path, out_dir: &Path, arguments: &[&str], path: Option<&Path>) -> Result<(), String> {
    let output = Command::new(NPM)
        .args(arguments)
        .args(path)
        .current_dir(web)
        .env("NO_COLOR", "1")
        .output()
        .map_err(|_| format!("the pages under web/ are built with npm, and `{NPM}` was not found: {WAY_OUT}"))?;
    if output.status.success() {
        return Ok(());
    }
    let log = out_dir.join("npm.log");
    fs::write(&log, [output.stdout, output.stderr].concat()).map_err(|error| cannot("write", &log, &error))?;
    let command = arguments
        .iter()
        .take_while(|argument| **argument != "--")
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    Err(format!(
        "`npm {command}` failed in {} ({}), see {}; to go on without the pages: cargo build --no-default-features",
        web.display(),
        output.status,
        log.display()
    ))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}
