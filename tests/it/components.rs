//! The test servers themselves do what the other tests take for granted.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection};

use crate::support::active_directory::{ActiveDirectory, DOMAIN, LOCKOUT_THRESHOLD, NETBIOS, PASSWORD};
use crate::support::mongod::{PrivateMongod, fresh_database, shared_url};

async fn client(url: &str) -> Client {
    let mut options = ClientOptions::parse(url).await.unwrap();
    options.server_selection_timeout = Some(Duration::from_secs(10));
    options.write_concern = Some(WriteConcern::majority());
    options.read_concern = Some(ReadConcern::majority());
    Client::with_options(options).unwrap()
}

#[tokio::test]
async fn the_shared_replica_set_takes_transactions_and_a_fresh_database_goes_with_its_value() {
    let shared = client(&shared_url()).await;
    let database = fresh_database();
    let fresh = client(&database.url).await;
    let things: Collection<Document> = fresh.default_database().unwrap().collection("things");
    things.insert_one(doc! { "_id": 1 }).await.unwrap();

    let mut session = fresh.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    things
        .insert_one(doc! { "_id": 2 })
        .session(&mut session)
        .await
        .unwrap();
    session.abort_transaction().await.unwrap();
    assert_eq!(things.count_documents(doc! {}).await.unwrap(), 1);

    let name = database.name.clone();
    assert!(shared.list_database_names().await.unwrap().contains(&name));
    drop(database);
    assert!(!shared.list_database_names().await.unwrap().contains(&name));
}

#[tokio::test]
async fn two_fresh_databases_do_not_meet() {
    let (a, b) = (fresh_database(), fresh_database());
    assert_ne!(a.name, b.name);
    client(&a.url)
        .await
        .default_database()
        .unwrap()
        .collection("t")
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    let others = client(&b.url)
        .await
        .default_database()
        .unwrap()
        .collection::<Document>("t");
    assert_eq!(others.count_documents(doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn a_private_replica_set_keeps_a_majority_write_through_a_crash() {
    let mut mongod = PrivateMongod::start(true).await;
    let things = |client: &Client| client.database("crash").collection::<Document>("things");
    let before = client(&mongod.url()).await;
    things(&before)
        .insert_one(doc! { "_id": 1, "kept": true })
        .await
        .unwrap();

    mongod.kill();
    let mut impatient = ClientOptions::parse(mongod.url()).await.unwrap();
    impatient.server_selection_timeout = Some(Duration::from_millis(200));
    let nobody = Client::with_options(impatient).unwrap();
    things(&nobody)
        .find_one(doc! {})
        .await
        .expect_err("a killed server answers nothing");

    mongod.restart().await;
    let after = client(&mongod.url()).await;
    let found = things(&after)
        .find_one(doc! { "_id": 1 })
        .await
        .unwrap()
        .expect("the write that was acknowledged");
    assert_eq!(found, doc! { "_id": 1, "kept": true });
}

#[tokio::test]
async fn a_private_standalone_server_is_no_replica_set() {
    let mongod = PrivateMongod::start(false).await;
    let hello = client(&mongod.url())
        .await
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .await
        .unwrap();
    assert!(!hello.contains_key("setName"), "{hello}");
}

#[test]
fn a_killed_server_is_gone_and_its_folder_with_it() {
    // Outside of a runtime too: the values end after the runtime that made them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mongod = runtime.block_on(PrivateMongod::start(false));
    let address = mongod
        .url()
        .trim_start_matches("mongodb://")
        .trim_end_matches('/')
        .to_owned();
    std::net::TcpStream::connect(&address).unwrap();
    drop(runtime);
    drop(mongod);
    std::net::TcpStream::connect(&address).expect_err("nothing listens there any more");
}

#[test]
fn the_domain_binds_by_every_name_and_counts_what_is_wrong() {
    let ad = ActiveDirectory::new();
    let member = ad.user("member");
    for name in [
        member.upn(),
        format!("{NETBIOS}\\{}", member.login),
        member.dn.clone(),
        member.upn().to_uppercase(),
    ] {
        assert_eq!(ad.bind(&name, PASSWORD).rc, 0, "{name}");
    }
    for count in 1..=LOCKOUT_THRESHOLD {
        let answer = ad.bind(&member.upn(), "wrong");
        assert!(answer.rc == 49 && answer.text.contains("data 52e"), "{answer}");
        assert_eq!(ad.failed_binds(&member), count);
    }
    assert!(ad.bind(&member.upn(), PASSWORD).text.contains("data 775"));
    // Nobody else is locked.
    assert_eq!(ad.bind(&ad.reader().upn(), PASSWORD).rc, 0);
}

#[test]
fn tests_of_the_domain_do_not_meet() {
    let (a, b) = (ActiveDirectory::new(), ActiveDirectory::new());
    let (one, other) = (a.user("member"), b.user("member"));
    assert_ne!(one, other);
    a.set_password(&one, "Other horse battery 8");
    a.lock(&a.user("locked"));
    a.delete(&a.user("deleted").dn);
    assert_eq!(a.bind(&one.upn(), "Other horse battery 8").rc, 0);
    assert_eq!(b.bind(&other.upn(), PASSWORD).rc, 0);
    assert_eq!(b.bind(&format!("nobody@{DOMAIN}"), PASSWORD).rc, 49);
}

#[test]
fn groups_of_the_domain_nest_and_one_is_primary() {
    let ad = ActiveDirectory::new();
    let member = ad.user("member");
    let (inner, middle, outer, primary) = (
        ad.group("inner"),
        ad.group("middle"),
        ad.group("outer"),
        ad.group("primary"),
    );
    ad.add_members(&inner, &[&member.dn]);
    ad.add_members(&middle, &[&inner]);
    ad.add_members(&outer, &[&middle]);
    ad.set_primary_group(&member, &primary);
    assert_eq!(
        ad.values(&member.dn, "memberOf").len(),
        2,
        "the inner one and Domain Users"
    );
    let in_chain = format!("(member:1.2.840.113556.1.4.1941:={})", member.dn);
    let mut found = ad.search(&in_chain);
    found.sort();
    assert_eq!(found, [inner, middle, outer]);
}
