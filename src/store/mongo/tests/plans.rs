//! Which index the server takes for what the directory's workers read again and again.

use mongodb::bson::{Document, doc};

use super::super::directory::{by_linked_id, linked, linked_to, signed_in};
use super::super::indexes;
use super::support::{TestDatabase, open};
use crate::domain::user::{DirectoryLink, User};
use crate::store::NewPerson;
use crate::store::contract::sample::{Maker, at, token};

/// How the server would answer that.
async fn plan(database: &TestDatabase, find: &Document) -> String {
    let explained = database
        .client
        .database(&database.name)
        .run_command(doc! { "explain": find, "verbosity": "queryPlanner" })
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
