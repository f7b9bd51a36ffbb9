//! The subscriptions.

use std::sync::Arc;

use async_graphql::parser::types::{OperationType, Selection};
use async_graphql::{Context, Request, ServerError, Subscription};
use futures_util::{Stream, stream};

use crate::access::Denied;
use crate::domain::query;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::types::{LoginEvent, LoginEventFilter};
use crate::service::{InUse, Place};
use crate::store::LoginWatch;

/// What happens, as it happens.
#[derive(Debug, Default, Clone, Copy)]
pub struct Subscription;

/// What happens, as it happens.
#[Subscription]
impl Subscription {
    /// Sign-ins as they happen, in the caller's account. Which ones, is as in `loginHistory`: users see their own;
    /// `history:read` sees the account's; operators see every account's, or those of `filter.account`.
    async fn login_events(
        &self,
        ctx: &Context<'_>,
        filter: Option<LoginEventFilter>,
    ) -> Result<impl Stream<Item = ApiResult<LoginEvent>> + use<>, ApiError> {
        let state = Arc::clone(RequestState::of(ctx)?);
        let place = ctx.data_opt::<Place>().ok_or(Denied::Unauthenticated)?.clone();
        state.caller().principal().signed_in()?;
        let filter = filter.unwrap_or_default().read()?;
        let following = Following {
            watch: state.caller().watch_logins().await?,
            _in_use: place.in_use(),
            filter,
            place,
            state,
        };
        // What goes wrong is said, and is the end.
        Ok(stream::unfold(Some(following), async |following| {
            let mut following = following?;
            Some(match following.next().await {
                Ok(event) => (Ok(event), Some(following)),
                Err(error) => (Err(error), None),
            })
        }))
    }
}

/// One subscription to sign-ins.
struct Following {
    watch: LoginWatch,
    /// `None` finds nothing.
    filter: Option<query::LoginEventFilter>,
    place: Place,
    _in_use: InUse,
    state: Arc<RequestState>,
}

impl Following {
    /// The next sign-in that whoever asks may see at that moment.
    async fn next(&mut self) -> ApiResult<LoginEvent> {
        loop {
            let event = self.watch.next().await.map_err(|_| ApiError::missed_events())?;
            // What was not asked for takes no look at who is asking.
            let Some(filter) = self.filter.as_ref().filter(|filter| filter.matches(&event)) else {
                continue;
            };
            let principal = self.place.confirmed().await.map_err(|_| Denied::Unauthenticated)?;
            principal.signed_in()?;
            self.state.renew(principal);
            if self.state.caller().sees_sign_in(filter, &event) {
                return Ok(LoginEvent(event));
            }
        }
    }
}

/// Why this cannot be run as a subscription; `None` when it can, or cannot be parsed (which is said elsewhere).
///
/// The specification's "single root field" is not held by the library, which also leaves out fragments at the root.
pub(super) fn refusal(request: &mut Request) -> Option<ServerError> {
    let wanted = request.operation_name.clone();
    let document = request.parsed_query().ok()?;
    let (_, operation) = document.operations.iter().find(|(name, _)| match (&wanted, name) {
        (Some(wanted), Some(name)) => wanted == name.as_str(),
        (Some(_), None) => false,
        (None, _) => true,
    })?;
    let set = &operation.node.selection_set.node;
    let what = if operation.node.ty != OperationType::Subscription {
        "this connection is for subscriptions; send queries and mutations by POST"
    } else if !matches!(&set.items[..], [one] if matches!(one.node, Selection::Field(_))) {
        "a subscription selects one field, and not in a fragment; run one subscription for each"
    } else {
        return None;
    };
    let error: async_graphql::Error = ApiError::bad_request(what).into();
    Some(error.into_server_error(operation.pos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(query: &str, operation: Option<&str>) -> bool {
        let mut request = Request::new(query);
        if let Some(operation) = operation {
            request = request.operation_name(operation);
        }
        refusal(&mut request).is_some()
    }

    #[test]
    fn one_field_of_a_subscription_is_run_and_nothing_else() {
        assert!(!is_refused("subscription { loginEvents { id } }", None));
        assert!(!is_refused(
            "subscription A { loginEvents { ...F } } fragment F on LoginEvent { id }",
            None
        ));
        let both = "query Q { __typename } subscription S { loginEvents { id } }";
        assert!(!is_refused(both, Some("S")));
        assert!(is_refused(both, Some("Q")));
        for query in [
            "{ viewer { isMaster } }",
            "mutation { signOut { done } }",
            "subscription { a: loginEvents { id } b: loginEvents { id } }",
            "subscription { ...F } fragment F on Subscription { loginEvents { id } }",
            "subscription { ... on Subscription { loginEvents { id } } }",
        ] {
            assert!(is_refused(query, None), "{query}");
        }
        assert!(!is_refused("subscription {", None), "said elsewhere");
        assert!(!is_refused(both, Some("Missing")), "said elsewhere");
    }
}
