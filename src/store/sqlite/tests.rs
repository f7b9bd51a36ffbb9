//! The embedded store against the contract, and what only a file can get wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::domain::ids::MailId;
use crate::domain::login_event::LoginOutcome;
use crate::domain::query::UserFilter;
use crate::store::contract::sample::{Maker, audited, password, reload, token};
use crate::store::contract::{live, mails};
use crate::store::sqlite::{SqliteStore, indexes};
use crate::store::{AccountStore, Failures, Load, NewPerson, Store, StoreError, Unique, Upkeep};

async fn open() -> (TempDir, Arc<dyn Store>) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("doorward.db")).unwrap();
    (directory, Arc::new(store))
}

mod contract {
    crate::store::contract::contract_suite!(crate::store::sqlite::tests::open);
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("doorward.db")
}

fn refusal(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(StoreError::Setup(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// Two handles, as a server and a command line beside it have them.
async fn two(directory: &TempDir) -> [Arc<dyn Store>; 2] {
    [(); 2].map(|()| Arc::new(SqliteStore::open(&file(directory)).unwrap()) as Arc<dyn Store>)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_see_each_others_writes_and_share_the_constraints() {
    let directory = tempfile::tempdir().unwrap();
    let [server, command] = two(&directory).await;
    let mut make = Maker::default();
    let acme = make.stored_account(&server, "acme").await;
    let racers: Vec<_> = (0..40)
        .map(|n| {
            let (user, entry) = (make.user(acme.id, &format!("user{}", n / 2)), make.entry(acme.id));
            let store = if n % 2 == 0 { server.clone() } else { command.clone() };
            tokio::spawn(async move { store.create_user(&user, Some(&password("x")), &entry, &[]).await })
        })
        .collect();
    let mut made = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(()) => made += 1,
            Err(StoreError::Taken(Unique::UserLogin)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 20);
    for store in [&server, &command] {
        assert_eq!(store.count_users(&[UserFilter::default()]).await.unwrap(), [20]);
    }
    assert_eq!(audited(&command).await, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_handles_open_a_new_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let opening: Vec<_> = (0..6)
        .map(|_| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || SqliteStore::open(&path))
        })
        .collect();
    for store in opening {
        store.await.unwrap().unwrap().ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_waits_for_another_process() {
    let (directory, store) = open().await;
    let mut make = Maker::default();
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { make.stored_account(&store, "acme").await })
    };
    // Readers do not wait.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(store.count_users(&[UserFilter::default()]).await.unwrap(), [0]);
    assert!(!waiting.is_finished());
    other.execute_batch("COMMIT").unwrap();
    let account = waiting.await.unwrap();
    assert_eq!(store.accounts_by_ids(&[account.id]).await.unwrap(), [account]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_without_a_close() {
    let directory = tempfile::tempdir().unwrap();
    let mut make = Maker::default();
    let first: Arc<dyn Store> = Arc::new(SqliteStore::open(&file(&directory)).unwrap());
    let acme = make.stored_account(&first, "acme").await;
    let ann = make.stored_user(&first, &acme, "ann").await;
    let record = make.sign_in(&ann, 1, token(1));
    first.record_login(&record).await.unwrap();
    // A copy of the files is what a crash at this moment leaves.
    let copy = tempfile::tempdir().unwrap();
    for name in ["doorward.db", "doorward.db-wal"] {
        std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    }
    let second: Arc<dyn Store> = Arc::new(SqliteStore::open(&file(&copy)).unwrap());
    assert_eq!(reload(&second, &ann).await.last_login, Some(record.event));
    assert!(second.identity(&token(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_folds_the_log_into_the_file_and_opening_finds_it_all() {
    let directory = tempfile::tempdir().unwrap();
    let mut make = Maker::default();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&file(&directory)).unwrap());
    let acme = make.stored_account(&store, "acme").await;
    store.close().await;
    assert!(!directory.path().join("doorward.db-wal").exists());
    let late = store.account_by_name(&acme.name).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    let again = SqliteStore::open(&file(&directory)).unwrap();
    assert_eq!(again.account_by_name(&acme.name).await.unwrap(), Some(acme));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_panics_or_is_dropped_leaves_the_store_usable() {
    let (_directory, store) = open_sqlite();
    let broken = store.write::<()>("test", |_| panic!("on purpose")).await;
    assert!(matches!(broken, Err(StoreError::Unavailable(_))), "{broken:?}");
    for _ in 0..20 {
        let dropped = store.ping();
        tokio::time::timeout(std::time::Duration::ZERO, dropped).await.ok();
    }
    let shared: Arc<dyn Store> = Arc::new(store);
    let mut make = Maker::default();
    let acme = make.stored_account(&shared, "acme").await;
    let ann = make.stored_user(&shared, &acme, "ann").await;
    let event = make.event(&ann, 1, LoginOutcome::Success);
    assert_eq!(shared.login_events_by_ids(&[event.id]).await.unwrap(), []);
}

fn open_sqlite() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&file(&directory)).unwrap();
    (directory, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_write_is_synchronised() {
    let (_directory, store) = open_sqlite();
    let pragmas = store
        .write("test", |tx| {
            let ask = |name: &str| tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            Ok((ask("synchronous")?, ask("foreign_keys")?, ask("busy_timeout")?))
        })
        .await
        .unwrap();
    assert_eq!(pragmas, (2, 1, 10_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_index_fails_the_check() {
    let (directory, store) = open().await;
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("DROP INDEX users_email").unwrap();
    let steps = store.check().await;
    let failed: Vec<_> = steps.iter().filter_map(|s| s.outcome.as_ref().err()).collect();
    assert!(
        matches!(failed[..], [why] if why.contains("index users_email")),
        "{steps:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_named() {
    let (directory, store) = open().await;
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let other = Connection::open(file(&directory)).unwrap();
    other.execute("UPDATE accounts SET status = 'MELTED'", []).unwrap();
    let found = store.accounts_by_ids(&[acme.id]).await;
    assert!(
        matches!(&found, Err(StoreError::Corrupt(why)) if why.contains("MELTED")),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_read_is_set_aside_and_the_others_are_claimed() {
    let (directory, store) = open().await;
    let other = Connection::open(file(&directory)).unwrap();
    let rewrite = async |id: MailId, content: &str| {
        let changed = other.execute(
            "UPDATE mails SET content = ?2 WHERE id = ?1",
            (id.as_uuid().as_bytes(), content),
        );
        assert_eq!(changed.unwrap(), 1);
    };
    mails::are_set_aside_when_they_cannot_be_read(&store, rewrite).await;
}

#[test]
fn the_file_and_its_directory_are_made_for_the_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep").join("data").join("doorward.db");
    let _store = SqliteStore::open(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }
}

#[test]
fn a_place_that_cannot_be_used_is_named_with_what_would_be_right() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path());
    assert!(
        message.contains(&*directory.path().to_string_lossy()) && message.contains("is a directory"),
        "{message}"
    );

    // A file where a directory would have to be.
    std::fs::write(directory.path().join("plain"), "").unwrap();
    let message = refusal(&directory.path().join("plain").join("doorward.db"));
    assert!(message.contains("plain") && message.contains("may write"), "{message}");

    let text = directory.path().join("letter.txt");
    std::fs::write(&text, "Dear SQLite, this is no database at all.\n".repeat(100)).unwrap();
    let message = refusal(&text);
    assert!(
        message.contains("letter.txt") && message.contains("not a database of Doorward's"),
        "{message}"
    );

    let foreign = directory.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE songs (title TEXT)")
        .unwrap();
    let message = refusal(&foreign);
    assert!(
        message.contains("foreign.db") && message.contains("another program"),
        "{message}"
    );
}

#[test]
fn a_newer_schema_is_refused() {
    let (directory, store) = open_sqlite();
    drop(store);
    let path = file(&directory);
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let message = refusal(&path);
    assert!(
        message.contains("schema 99") && message.contains("use that version"),
        "{message}"
    );
}

#[test]
fn opening_again_changes_nothing() {
    let (directory, store) = open_sqlite();
    drop(store);
    let before = std::fs::read(file(&directory)).unwrap();
    drop(SqliteStore::open(&file(&directory)).unwrap());
    assert_eq!(std::fs::read(file(&directory)).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_of_another_process_are_told_of_too() {
    let directory = tempfile::tempdir().unwrap();
    let [server, other] = two(&directory).await;
    let mut make = Maker::default();
    let acme = make.stored_account(&server, "acme").await;
    let ann = make.stored_user(&server, &acme, "ann").await;
    let mut watch = server.watch_logins().await.unwrap();
    for n in 0..20 {
        let record = make.refusal(&ann, n, Failures::Unchanged);
        let by = if n % 3 == 0 { &server } else { &other };
        by.record_login(&record).await.unwrap();
        assert_eq!(live::next(&mut watch).await, record.event);
    }
    live::is_silent(&mut watch).await;
}

/// The numbers of deleted rows come again, and a `VACUUM` may give new ones: neither loses or repeats a sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_are_told_of_whatever_becomes_of_the_rows_before_them() {
    let directory = tempfile::tempdir().unwrap();
    let [store, _] = two(&directory).await;
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    for n in 0..10 {
        let record = make.refusal(&ann, n, Failures::Unchanged);
        store.record_login(&record).await.unwrap();
    }
    let mut watch = store.watch_logins().await.unwrap();
    let record = make.refusal(&ann, 10, Failures::Unchanged);
    store.record_login(&record).await.unwrap();
    assert_eq!(live::next(&mut watch).await, record.event);
    for disturbance in [
        "DELETE FROM login_events WHERE rowid = (SELECT max(rowid) FROM login_events)",
        "DELETE FROM login_events WHERE rowid > 5",
        "DELETE FROM login_events WHERE rowid BETWEEN 2 AND 4; VACUUM",
        "DELETE FROM login_events WHERE rowid = 1; VACUUM",
        "DELETE FROM login_events",
        "DELETE FROM login_events; VACUUM",
    ] {
        let (path, events) = (
            file(&directory),
            [(); 3].map(|()| make.refusal(&ann, 20, Failures::Unchanged).event),
        );
        let written = events.clone();
        let disturb = move || {
            let connection = Connection::open(path).unwrap();
            connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
            // Together, so that nothing is read in between.
            if disturbance.contains("VACUUM") {
                connection.execute_batch(disturbance).unwrap();
            } else {
                connection
                    .execute_batch(&format!("BEGIN IMMEDIATE; {disturbance}"))
                    .unwrap();
            }
            for event in &written {
                crate::store::sqlite::history::insert(&connection, event).unwrap();
            }
            if !disturbance.contains("VACUUM") {
                connection.execute_batch("COMMIT").unwrap();
            }
        };
        tokio::task::spawn_blocking(disturb).await.unwrap();
        for event in events {
            assert_eq!(live::next(&mut watch).await, event, "{disturbance}");
        }
        live::is_silent(&mut watch).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_the_new_rows_cannot_be_told_from_the_old() {
    let directory = tempfile::tempdir().unwrap();
    let [store, _] = two(&directory).await;
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let user = make.user(acme.id, "ann");
    let events = (0..300)
        .map(|n| make.event(&user, n, LoginOutcome::WrongPassword))
        .collect();
    let person = NewPerson {
        user: user.clone(),
        password: None,
        events,
    };
    store.insert_people(&[person]).await.unwrap();
    let mut watch = store.watch_logins().await.unwrap();
    let path = file(&directory);
    let disturb = move || {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch("DELETE FROM login_events WHERE rowid > 20")
            .unwrap();
    };
    tokio::task::spawn_blocking(disturb).await.unwrap();
    live::ends(&mut watch).await;
    // And the next one is whole again.
    let mut watch = store.watch_logins().await.unwrap();
    let record = make.refusal(&user, 400, Failures::Unchanged);
    store.record_login(&record).await.unwrap();
    assert_eq!(live::next(&mut watch).await, record.event);
}

/// How many of the indexes for lists the file has.
fn late_indexes(directory: &TempDir) -> usize {
    let connection = Connection::open(file(directory)).unwrap();
    let mut is_there = connection
        .prepare("SELECT 1 FROM sqlite_schema WHERE name = ?")
        .unwrap();
    indexes::LATE
        .into_iter()
        .filter(|name| is_there.exists([name]).unwrap())
        .count()
}

async fn checked(store: &SqliteStore) {
    let steps = store.check().await;
    assert!(steps.iter().all(|step| step.outcome.is_ok()), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_makes_the_indexes_for_lists_at_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&file(&directory)).unwrap();
    assert_eq!(late_indexes(&directory), 11);
    store.begin_load(Load::People).await.unwrap();
    assert_eq!(late_indexes(&directory), 0);
    let mut make = Maker::default();
    let acme = make.account("acme");
    let entry = make.entry(acme.id);
    let main = make.main_group(acme.id);
    store.create_account(&acme, &main, &entry).await.unwrap();
    let people = |range: std::ops::Range<u32>, make: &mut Maker| -> Vec<NewPerson> {
        range
            .map(|n| NewPerson {
                user: make.user(acme.id, &format!("user{n}")),
                password: None,
                events: Vec::new(),
            })
            .collect()
    };
    store.insert_people(&people(0..999, &mut make)).await.unwrap();
    store.end_load(Load::People).await.unwrap();
    assert_eq!(late_indexes(&directory), 11);
    checked(&store).await;

    // One that is cut off leaves them to the next start.
    store.begin_load(Load::People).await.unwrap();
    drop(store);
    assert_eq!(late_indexes(&directory), 0);
    let store = SqliteStore::open(&file(&directory)).unwrap();
    checked(&store).await;

    // Where there are more users, they are kept up.
    store.insert_people(&people(999..1000, &mut make)).await.unwrap();
    store.begin_load(Load::People).await.unwrap();
    assert_eq!(late_indexes(&directory), 11);
}
