//! What the GraphQL specification asks of execution, and what some versions of the library do otherwise.

use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema};

struct Row;

#[Object]
impl Row {
    async fn slow(&self) -> i32 {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        1
    }
    async fn quick(&self) -> i32 {
        2
    }
    async fn fails(&self) -> async_graphql::Result<i32> {
        Err("no".into())
    }
    async fn may_fail(&self) -> Option<async_graphql::Result<i32>> {
        Some(Err("no".into()))
    }
}

struct Root;

#[Object]
impl Root {
    async fn row(&self) -> Option<Row> {
        Some(Row)
    }
}

async fn run(query: &str) -> String {
    let schema = Schema::new(Root, EmptyMutation, EmptySubscription);
    serde_json::to_string(&schema.execute(query).await.data).unwrap()
}

/// Specification, "Response Map Ordering": keys come in the order of the query, not of completion.
#[tokio::test]
async fn keys_come_in_the_order_of_the_query() {
    assert_eq!(run("{ row { slow quick } }").await, r#"{"row":{"slow":1,"quick":2}}"#);
    let fragments = "{ row { b: quick ...F a: quick __typename } } fragment F on Row { slow b: quick }";
    assert_eq!(
        run(fragments).await,
        r#"{"row":{"b":2,"slow":1,"a":2,"__typename":"Row"}}"#
    );
}

/// Specification, "Handling Execution Errors": a non-null field that fails makes its parent null.
#[tokio::test]
async fn a_failing_field_that_cannot_be_null_makes_its_parent_null() {
    assert_eq!(run("{ row { quick fails } }").await, r#"{"row":null}"#);
    assert_eq!(
        run("{ row { quick mayFail } }").await,
        r#"{"row":{"quick":2,"mayFail":null}}"#
    );
}
