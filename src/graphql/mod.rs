//! The GraphQL layer: what a request may ask, and how answers and refusals are put.

pub mod context;
mod cost;
pub mod documents;
pub mod error;
mod guard;
mod lists;
pub mod loaders;
pub mod mutation;
pub mod node_id;
pub mod paging;
pub mod query;
pub mod scalars;
pub mod subscription;
pub mod types;
pub mod written;

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Executor, Request, Response, Schema, SchemaBuilder, ServerError, ValidationMode, Value};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::access::Principal;
use crate::auth::SessionSecret;
use crate::domain::login_event::EventOrigin;
use crate::graphql::context::{Manner, RequestState};
use crate::graphql::documents::{Repeats, RequestKey, Valid};
use crate::graphql::guard::MustChangeGuard;
use crate::graphql::mutation::Mutation;
use crate::graphql::query::Query;
use crate::graphql::subscription::Subscription;
use crate::service::{Place, Presence, Services};

/// What one query may cost.
#[derive(Debug, Clone, Copy)]
pub struct ApiLimits {
    /// The deepest nesting.
    pub depth: usize,
    /// The most fields, lists counted by the entries asked for.
    pub complexity: usize,
    /// May the schema be asked for?
    pub introspection: bool,
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Whose request it is.
    pub principal: Arc<Principal>,
    /// Where it comes from.
    pub origin: EventOrigin,
    /// It came from our own pages, or from no browser at all: it may set a cookie.
    pub may_set_cookie: bool,
    /// The session that the request showed, when it is a live one.
    pub shown_session: Option<ShownSession>,
}

/// The secret of the session that a request showed, and how.
#[derive(Debug, Clone)]
pub struct ShownSession {
    /// The secret.
    pub secret: Arc<SessionSecret>,
    /// By cookie, and so out of scripts' reach; otherwise as a bearer token.
    pub by_cookie: bool,
}

/// What happens to the caller's session cookie.
#[derive(Debug)]
pub enum CookieChange {
    /// It is set to this secret.
    Set(SessionSecret),
    /// It goes.
    Clear,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its lists may be written already: see [`Self::to_json`].
    pub(crate) response: Response,
    /// What becomes of the cookie.
    pub cookie: Option<CookieChange>,
    /// A refusal for too many attempts: how long to wait, for `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// What was wrong.
    #[must_use]
    pub fn errors(&self) -> &[ServerError] {
        &self.response.errors
    }

    /// Nothing was executed: an error of a field has the field's path, one that came before the execution has none.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let Response { data, errors, .. } = &self.response;
        *data == Value::Null && !errors.is_empty() && errors.iter().all(|error| error.path.is_empty())
    }

    /// What GraphQL says, as JSON; without `data` when nothing was executed.
    ///
    /// # Errors
    /// When it has an error that cannot be written, which none of ours is.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        written::answer(&self.response, !self.is_refusal())
    }
}

type DoorwardSchema = Schema<Query, Mutation, Subscription>;

/// The executable schema.
#[derive(Clone)]
pub struct Api {
    services: Arc<Services>,
    presence: Presence,
    plain: DoorwardSchema,
    /// The same for requests that were found valid before: only what they cost is looked at again.
    known: DoorwardSchema,
    valid: Arc<Valid>,
    /// The same with a look at every field, for sessions that must change their password.
    guarded: DoorwardSchema,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
    /// Builds the schema over the use cases.
    #[must_use]
    pub fn new(services: Arc<Services>, limits: ApiLimits) -> Self {
        let limited = || {
            let schema = builder().limit_depth(limits.depth).limit_complexity(limits.complexity);
            if limits.introspection {
                schema
            } else {
                schema.disable_introspection()
            }
        };
        Self {
            presence: Presence::new(Arc::clone(&services)),
            services,
            plain: limited().finish(),
            known: limited().validation_mode(ValidationMode::Fast).finish(),
            valid: Arc::default(),
            guarded: limited().extension(MustChangeGuard).finish(),
        }
    }

    /// The use cases behind the schema.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Runs one request.
    pub async fn execute(&self, mut request: Request, context: RequestContext) -> Answer {
        if let Some(refusal) = cost::refusal(&mut request) {
            return Answer {
                response: Response::from_errors(vec![refusal]),
                cookie: None,
                retry_after: None,
            };
        }
        // Only a mutation can meet such a session in the middle: by signing in.
        let must_change = matches!(&*context.principal, Principal::Person(p) if p.must_change_password);
        let guarded = must_change || has_mutation(&mut request);
        let manner = match request.parsed_query() {
            Ok(document) if !guarded => Manner::Whole(Repeats::of(document)),
            _ => Manner::ByField,
        };
        let state = Arc::new(RequestState::new(Arc::clone(&self.services), context, manner));
        let key = if guarded { None } else { RequestKey::of(&request) };
        let is_known = key.is_some_and(|key| self.valid.has(&key));
        let schema = match (guarded, is_known) {
            (true, _) => &self.guarded,
            (false, true) => &self.known,
            (false, false) => &self.plain,
        };
        let mut response = schema.execute(request.data(Arc::clone(&state))).await;
        if let Some(key) = key.filter(|_| !is_known && response.errors.is_empty()) {
            self.valid.add(key);
        }
        error::code_the_uncoded(&mut response.errors);
        let (cookie, retry_after, noted) = state.take_outcome();
        response.errors.extend(noted);
        Answer {
            response,
            cookie,
            retry_after,
        }
    }

    /// Those who stay connected.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Runs one subscription for whoever has that place; `None`: nobody. It ends by itself when they may not go on.
    #[must_use]
    pub fn subscribe(
        &self,
        mut request: Request,
        place: Option<Place>,
        origin: EventOrigin,
    ) -> BoxStream<'static, Response> {
        if let Some(refusal) = cost::refusal(&mut request).or_else(|| subscription::refusal(&mut request)) {
            return stream::iter([Response::from_errors(vec![refusal])]).boxed();
        }
        let principal = place
            .as_ref()
            .map_or_else(|| Arc::new(Principal::Nobody), Place::principal);
        let context = RequestContext {
            principal,
            origin,
            may_set_cookie: false,
            shown_session: None,
        };
        // Whoever stays connected is sent values.
        let state = Arc::new(RequestState::new(Arc::clone(&self.services), context, Manner::ByField));
        let mut request = request.data(state);
        if let Some(place) = place {
            request = request.data(place);
        }
        let coded = |mut response: Response| {
            error::code_the_uncoded(&mut response.errors);
            response
        };
        Executor::execute_stream(&self.plain, request, None).map(coded).boxed()
    }

    /// The schema in SDL, as in schema/schema.graphql.
    #[must_use]
    pub fn sdl() -> String {
        let options = async_graphql::SDLExportOptions::new()
            .sorted_fields()
            .sorted_enum_items()
            .include_specified_by();
        let sdl = builder().finish().sdl_with_options(options);
        let lines: Vec<&str> = sdl.lines().map(str::trim_end).collect();
        format!("{}\n", lines.join("\n").trim_end())
    }
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation::default(), Subscription)
}

/// Whether any operation of the document is a mutation; one that cannot be parsed is refused later anyway.
fn has_mutation(request: &mut Request) -> bool {
    match request.parsed_query() {
        Ok(document) => document
            .operations
            .iter()
            .any(|(_, op)| op.node.ty == OperationType::Mutation),
        Err(_) => false,
    }
}
