//! Which index the server takes for what workers read again and again.

use mongodb::bson::{Document, doc};

use super::super::directory::{by_linked_id, linked, linked_to, signed_in};
use super::super::indexes;
use super::super::keyset::Segment;
use super::super::mail::{by_due, due, filter};
use super::super::report::{self, by_wanting_id, expiring, lacking_wants, located, wanting};
use super::super::session::NEWEST_CREATED;
use super::support::{TestDatabase, open};
use crate::domain::login_event::LoginOutcome;
use crate::domain::mail::{Mail, MailFilter, MailState, Subscription};
use crate::domain::page::{PageRequest, Take};
use crate::domain::user::{DirectoryLink, Email, User};
use crate::store::NewPerson;
use crate::store::contract::sample::{Maker, at, full_origin, token};

/// How the server would answer that.
async fn plan(database: &TestDatabase, command: &Document) -> String {
    let explained = database
        .client
        .database(&database.name)
        .run_command(doc! { "explain": command, "verbosity": "queryPlanner" })
        .await
        .unwrap();
    let planner = explained.get_document("queryPlanner").unwrap();
    planner.get_document("winningPlan").unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_of_directory_users_is_answered_by_an_index() {
    let (database, store) = open().await;
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let people: Vec<NewPerson> = (0..100)
        .map(|n| NewPerson {
            user: User {
                is_ldap: true,
                directory_link: Some(DirectoryLink {
                    directory: "corp".to_owned(),
                    dn: format!("uid={n}"),
                    external_id: n.to_string(),
                    last_checked_at: at(0),
                    picture: None,
                }),
                ..make.user(acme.id, &format!("user{n}"))
            },
            password: None,
            events: Vec::new(),
        })
        .collect();
    store.insert_people(&people).await.unwrap();
    for (n, person) in (0..).zip(&people) {
        let record = make.sign_in(&person.user, 0, token(n));
        store.record_login(&record).await.unwrap();
    }
    let ids = ["1".to_owned(), "2".to_owned()];
    let by_external_id = doc! { "find": "users", "filter": linked_to(acme.id, "corp", &ids) };
    let mut cases = vec![(by_external_id, indexes::DIRECTORY_LINK)];
    for after in [None, Some(people[50].user.id)] {
        let linked = linked(acme.id, "corp", after);
        let find = doc! { "find": "users", "filter": linked, "sort": by_linked_id(), "limit": 10 };
        cases.push((find, "users_directory"));
        let mut find =
            doc! { "find": "sessions", "filter": signed_in(at(1), after), "sort": { "user": 1 }, "limit": 10 };
        find.insert("projection", doc! { "_id": 0, "user": 1 });
        cases.push((find, "sessions_user_expiry"));
    }
    for (find, index) in cases {
        let plan = plan(&database, &find).await;
        let indexed = plan.contains(&format!("\"indexName\": \"{index}\""));
        assert!(indexed && !plan.contains("\"SORT\""), "{find}: {plan}");
        // Who is signed in is read from the index alone.
        assert!(index != "sessions_user_expiry" || !plan.contains("FETCH"), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_of_the_outbox_is_answered_by_an_index() {
    let (database, store) = open().await;
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let mails: Vec<Mail> = (0..200)
        .map(|n| Mail {
            state: make.pick(&MailState::ALL),
            ..make.keyed_mail(&ann, n, &n.to_string())
        })
        .collect();
    store.queue_mails(&mails, None).await.unwrap();
    let due = doc! { "find": "mails", "filter": due(at(100)), "sort": by_due(), "limit": 10 };
    let mut cases = vec![(due, "mails_due")];
    let sort = NEWEST_CREATED.sort(Segment::Valued, Take::First, false);
    let page = PageRequest::first(10);
    for (state, to, index) in [
        (None, None, "mails_created"),
        (Some(MailState::Failed), None, "mails_state"),
        (None, Some("ann@example.org"), "mails_to"),
    ] {
        let to = to.map(str::to_owned);
        let conditions = filter(&MailFilter { state, to }).unwrap().conditions;
        let conditions = conditions.into_iter().next().unwrap_or_default();
        let find = doc! { "find": "mails", "filter": conditions, "sort": sort.clone(), "limit": page.limit as i64 };
        cases.push((find, index));
    }
    for (find, index) in cases {
        let plan = plan(&database, &find).await;
        let indexed = plan.contains(&format!("\"indexName\": \"{index}\""));
        assert!(indexed && !plan.contains("\"SORT\""), "{find}: {plan}");
    }
}

/// People who ask for this and that, whose passwords expire on some day, and who signed in from two countries.
async fn people(store: &std::sync::Arc<dyn crate::store::Store>, make: &mut Maker) -> Vec<User> {
    let acme = make.stored_account(store, "acme").await;
    let mut people = Vec::new();
    for n in 0..200 {
        let user = User {
            is_ldap: n % 2 == 0,
            email: (n % 3 > 0).then(|| Email::parse(&format!("user{n}@example.org")).unwrap()),
            password_expires_at: Some(at(n)),
            ..make.user(acme.id, &format!("user{n}"))
        };
        let events = (0..3).map(|m| {
            let mut event = make.event(&user, n + m, LoginOutcome::Success);
            event.origin = full_origin();
            event
        });
        people.push(NewPerson {
            events: events.collect(),
            password: None,
            user,
        });
    }
    store.insert_people(&people).await.unwrap();
    people.into_iter().map(|person| person.user).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_of_subscribers_and_countries_is_answered_by_an_index() {
    let (database, store) = open().await;
    let users = people(&store, &mut Maker::default()).await;
    let account = users[0].account;
    for after in [None, Some(users[50].id)] {
        let wanting = wanting(account, Subscription::Security, after);
        let find = doc! { "find": "users", "filter": wanting, "sort": by_wanting_id(), "limit": 10 };
        let plan = plan(&database, &find).await;
        let indexed = plan.contains("\"indexName\": \"users_wants\"") && plan.contains("security_notices");
        assert!(indexed && !plan.contains("\"SORT\""), "{plan}");
    }
    let expiring = expiring(account, at(20), at(30), None);
    let find = doc! { "find": "users", "filter": expiring, "hint": indexes::USERS_EXPIRING, "limit": 10 };
    let expiring = plan(&database, &find).await;
    assert!(expiring.contains("\"indexName\": \"users_expiring\""), "{expiring}");
    assert!(!expiring.contains("[MinKey, MaxKey]\"], \"_id\""), "{expiring}");
    let lacking = plan(&database, &doc! { "find": "users", "filter": lacking_wants() }).await;
    assert!(lacking.contains("\"indexName\": \"users_wants\""), "{lacking}");
    // From the index alone, leaping from one country to the next.
    let located = located(account, at(0), at(100)).unwrap();
    let distinct = doc! { "distinct": "login_events", "key": report::COUNTRY, "query": located };
    let countries = plan(&database, &distinct).await;
    let leaps = countries.contains("DISTINCT_SCAN") && !countries.contains("FETCH");
    assert!(leaps && countries.contains("login_events_country"), "{countries}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_earlier_versions_are_found_by_what_they_asked_for() {
    let (database, store) = open().await;
    let users = people(&store, &mut Maker::default()).await;
    let account = users[0].account;
    let mut odd = users[1].clone();
    odd.notifications.daily_reports = true;
    odd.notifications.email = odd.email.take();
    odd.revision = 2;
    let entry = Maker::default().apart().entry(account);
    store.update_user(&odd, 1, &entry, &[]).await.unwrap();
    let daily = Subscription::Reports(crate::domain::mail::ReportKind::Daily);
    let mut before = Vec::new();
    for subscription in [Subscription::Security, daily] {
        before.push(store.subscribers(account, subscription, None, 500).await.unwrap());
    }
    assert_eq!((before[0].len(), before[1].len()), (133, 1));
    let documents = database.client.database(&database.name).collection::<Document>("users");
    let unset = doc! { "$unset": { "wants": "" } };
    documents.update_many(doc! {}, unset).await.unwrap();
    assert_eq!(store.subscribers(account, daily, None, 500).await.unwrap(), []);
    let store = database.store().await;
    for (subscription, expected) in [Subscription::Security, daily].into_iter().zip(before) {
        let found = crate::store::MailStore::subscribers(&store, account, subscription, None, 500).await;
        assert_eq!(found.unwrap(), expected);
    }
}
