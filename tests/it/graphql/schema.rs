//! The checked-in schema is the code's.

use doorward::graphql::Api;

#[test]
fn the_checked_in_schema_is_the_codes() {
    let checked_in = include_str!("../../../schema/schema.graphql");
    assert!(
        checked_in == Api::sdl(),
        "schema/schema.graphql is not what the code says: cargo run -- schema > schema/schema.graphql"
    );
}
