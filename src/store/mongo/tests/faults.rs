//! What happens when something is wrong: with the set-up, with the server, with a document.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};

use super::super::{MongoStore, indexes};
use super::support::{Server, TestDatabase, eventually, open};
use crate::domain::account::AccountName;
use crate::domain::ids::MailId;
use crate::domain::query::{AuditFilter, NamedFilter};
use crate::store::contract::sample::{Maker, at, key, token};
use crate::store::contract::{live, mails};
use crate::store::{FailureCount, Failures, LimitKey, Store, StoreError};

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_server_is_refused_before_anything_is_written() {
    let server = Server::standalone().await;
    let database = TestDatabase::on(&server.url()).await;
    // With the option the driver itself sees no server at all.
    for option in ["", "?replicaSet=rs0&serverSelectionTimeoutMS=300"] {
        let url = format!("{}{option}", database.url.split('?').next().unwrap());
        let refused = MongoStore::connect(&url.as_str().into()).await.unwrap_err();
        let StoreError::Setup(said) = refused else {
            panic!("{refused:?}");
        };
        for part in ["127.0.0.1", "--replSet rs0", "rs.initiate()"] {
            assert!(said.contains(part), "{said}");
        }
    }
    assert!(
        !database
            .client
            .list_database_names()
            .await
            .unwrap()
            .contains(&database.name)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_and_the_password_is_not() {
    let url = "mongodb://ann:opensesame@127.0.0.1:9/doorward?serverSelectionTimeoutMS=300";
    let started = Instant::now();
    let refused = MongoStore::connect(&url.into()).await.unwrap_err();
    let said = refused.to_string();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{said}");
    assert!(said.contains("127.0.0.1:9") && said.contains("check"), "{said}");
    assert!(!said.contains("opensesame") && !said.contains('\n'), "{said}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_user_is_told_what_to_check() {
    let database = TestDatabase::new().await;
    let url = database.url.replacen("mongodb://", "mongodb://ann:opensesame@", 1);
    let refused = MongoStore::connect(&url.into()).await.unwrap_err();
    let StoreError::Setup(said) = refused else {
        panic!("{refused:?}");
    };
    assert!(said.contains("authSource") && !said.contains("opensesame"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_may_start_at_once() {
    let database = TestDatabase::new().await;
    let url = database.url.as_str().into();
    let stores = tokio::join!(
        MongoStore::connect(&url),
        MongoStore::connect(&url),
        MongoStore::connect(&url),
        MongoStore::connect(&url),
    );
    for store in [stores.0, stores.1, stores.2, stores.3] {
        let steps = crate::store::Upkeep::check(&store.unwrap()).await;
        assert!(steps.iter().all(|step| step.outcome.is_ok()), "{steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_and_a_different_index_are_found() {
    let (database, store) = open().await;
    let users = database.client.database(&database.name).collection::<Document>("users");
    users.drop_index(indexes::USER_LOGIN).await.unwrap();
    users.drop_index("users_email").await.unwrap();
    let options = mongodb::options::IndexOptions::builder()
        .name("users_email".to_owned())
        .build();
    let other = IndexModel::builder()
        .keys(doc! { "email_fold": 1 })
        .options(options)
        .build();
    users.create_index(other).await.unwrap();
    let steps = store.check().await;
    let wrong: Vec<_> = steps.into_iter().filter_map(|step| step.outcome.err()).collect();
    let [said] = &wrong[..] else {
        panic!("{wrong:?}");
    };
    assert!(
        said.contains("users_login is missing") && said.contains("users_email is another"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_read_is_corrupt() {
    let (database, store) = open().await;
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let users = database.client.database(&database.name).collection::<Document>("users");
    let grant = doc! { "source": "MANUAL", "granted_at": mongodb::bson::DateTime::MIN };
    for broken in [
        doc! { "status": "ASLEEP" },
        doc! { "created_at": "yesterday" },
        doc! { "grants": [grant] },
    ] {
        users
            .update_many(doc! {}, doc! { "$set": broken.clone() })
            .await
            .unwrap();
        let read = store.users_by_ids(&[ann.id]).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{broken}: {read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_read_is_set_aside_and_the_others_are_claimed() {
    let (database, store) = open().await;
    let stored = database.client.database(&database.name).collection::<Document>("mails");
    let rewrite = async |id: MailId, content: &str| {
        let id = mongodb::bson::Uuid::from_bytes(id.as_uuid().into_bytes());
        let changed = stored.update_one(doc! { "_id": id }, doc! { "$set": { "content": content } });
        assert_eq!(changed.await.unwrap().modified_count, 1);
    };
    mails::are_set_aside_when_they_cannot_be_read(&store, rewrite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn intents_survive_a_lost_commit_and_transient_errors() {
    let server = Server::replica_set().await;
    // The server only pretends to fail, so it does not tell the driver when it is well again: the driver must ask.
    let database = TestDatabase::on(&format!("{}/?heartbeatFrequencyMS=500", server.url())).await;
    let store: Arc<dyn Store> =
        Arc::new(eventually(|| async { MongoStore::connect(&database.url.as_str().into()).await }).await);
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let before = audited(&store).await;
    let faults = [
        // The answer to the commit never comes: it may have been carried out.
        doc! { "failCommands": ["commitTransaction"], "closeConnection": true },
        doc! { "failCommands": ["commitTransaction"], "errorCode": 91, "errorLabels": ["RetryableWriteError"] },
        doc! { "failCommands": ["insert"], "errorCode": 112, "errorLabels": ["TransientTransactionError"] },
        doc! { "failCommands": ["insert"], "closeConnection": true },
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        let twice = doc! { "configureFailPoint": "failCommand", "mode": { "times": 2 }, "data": fault.clone() };
        server.admin(twice).await;
        let (role, entry) = (make.role(acme.id, &format!("Role {n}")), make.entry(acme.id));
        store
            .create_role(&role, &entry)
            .await
            .unwrap_or_else(|e| panic!("{fault}: {e}"));
    }
    assert_eq!(store.count_roles(&[NamedFilter::default()]).await.unwrap(), [4]);
    assert_eq!(audited(&store).await, before + 4);
}

async fn audited(store: &Arc<dyn Store>) -> u64 {
    store.count_audit_entries(&[AuditFilter::default()]).await.unwrap()[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_the_server() {
    let mut server = Server::replica_set().await;
    let database = TestDatabase::on(&format!("{}/?serverSelectionTimeoutMS=1000", server.url())).await;
    let store: Arc<dyn Store> =
        Arc::new(eventually(|| async { MongoStore::connect(&database.url.as_str().into()).await }).await);
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let record = make.sign_in(&ann, 10, token(1));
    store.record_login(&record).await.unwrap();
    server.kill();

    let started = Instant::now();
    let away = store.ping().await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
    let name = AccountName::parse("acme").unwrap();
    let away = store.account_by_name(&name).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    let lost = make.refusal(&ann, 11, Failures::Unchanged);
    let away = tokio::time::timeout(Duration::from_secs(32), store.record_login(&lost)).await;
    assert!(matches!(away, Ok(Err(StoreError::Unavailable(_)))), "{away:?}");

    server.restart();
    let secret = token(1);
    let identity = eventually(|| store.identity(&secret)).await.unwrap();
    assert_eq!(identity.user.last_login, Some(record.event.clone()));
    let later = make.refusal(&ann, 12, Failures::Unchanged);
    eventually(|| store.record_login(&later)).await;
    let recent = store.recent_login_events(&[ann.id], 10, at(0)).await.unwrap();
    assert_eq!(recent[&ann.id], [later.event, record.event]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stepdown_during_writes_loses_and_doubles_nothing() {
    let server = Server::replica_set().await;
    let database = TestDatabase::on(&server.url()).await;
    let store: Arc<dyn Store> =
        Arc::new(eventually(|| async { MongoStore::connect(&database.url.as_str().into()).await }).await);
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let counter = FailureCount {
        key: key(acme.id, 1, None),
        threshold: 40,
        window: Duration::from_secs(3600),
        locks_user: false,
    };
    let writers: Vec<_> = (0..40)
        .map(|_| {
            let ghost = make.user(acme.id, "ghost");
            let mut record = make.refusal(&ghost, 1, Failures::Count(vec![counter]));
            record.event.user = None;
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.record_login(&record).await })
        })
        .collect();
    server
        .admin(doc! { "replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": true })
        .await;
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(store.count_login_events(&[Default::default()]).await.unwrap(), [40]);
    // The fortieth failure locks, so none was lost; a forty-first would have locked for longer than from the last one on.
    let until = store.locks(&[counter.key], at(2)).await.unwrap();
    assert_eq!(until, [Some(at(3601))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_of_attempts_are_removed_by_the_server_itself() {
    let (database, store) = open().await;
    store
        .count_attempts(&[LimitKey([9; 32])], at(0), Duration::from_secs(60))
        .await
        .unwrap();
    let attempts = database
        .client
        .database(&database.name)
        .collection::<Document>("attempts");
    let counter = attempts.find_one(doc! {}).await.unwrap().unwrap();
    let hello = database
        .client
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .await
        .unwrap();
    let now = hello.get_datetime("localTime").unwrap().timestamp_millis();
    let left = counter.get_datetime("expires_at").unwrap().timestamp_millis() - now;
    // A minute for the window and two more, by the server's clock, whatever the caller's says.
    assert!((100_000..=180_000).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_are_told_of_across_a_restart_of_the_server() {
    let mut server = Server::replica_set().await;
    let database = TestDatabase::on(&format!("{}/?serverSelectionTimeoutMS=1000", server.url())).await;
    let connect = || async { MongoStore::connect(&database.url.as_str().into()).await };
    let store: Arc<dyn Store> = Arc::new(eventually(connect).await);
    let other: Arc<dyn Store> = Arc::new(eventually(connect).await);
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mut watch = store.watch_logins().await.unwrap();
    let before = make.refusal(&ann, 1, Failures::Unchanged);
    other.record_login(&before).await.unwrap();
    assert_eq!(live::next(&mut watch).await, before.event);

    server.kill();
    tokio::time::sleep(Duration::from_secs(2)).await; // the stream finds out
    server.restart();
    let after: Vec<_> = (2..5).map(|n| make.refusal(&ann, n, Failures::Unchanged)).collect();
    for record in &after {
        eventually(|| other.record_login(record)).await;
    }
    for record in after {
        assert_eq!(live::next(&mut watch).await, record.event);
    }
    live::is_silent(&mut watch).await;
}
