//! What belongs to one request: who asks, the loaders, and what the answer carries besides GraphQL.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::{Context, ServerError};

use crate::access::{Person, Principal};
use crate::auth::SessionSecret;
use crate::domain::login_event::EventOrigin;
use crate::graphql::documents::Repeats;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::loaders::Loaders;
use crate::graphql::{CookieChange, RequestContext, ShownSession};
use crate::service::{Caller, Services};

/// One request's state, in async-graphql's context.
#[derive(Debug)]
pub struct RequestState {
    services: Arc<Services>,
    caller: CallerCell,
    /// Where the request comes from.
    pub origin: EventOrigin,
    /// See [`RequestContext::may_set_cookie`].
    pub may_set_cookie: bool,
    shown_session: Option<ShownSession>,
    manner: Manner,
    /// The batches.
    pub loaders: Loaders,
    /// A mutation made somebody else the caller.
    changed: AtomicBool,
    outcome: Mutex<Outcome>,
    budget: AtomicUsize,
}

/// How lists come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Each field by itself, as values: somebody looks at them.
    ByField,
    /// As a whole where the library need not merge them.
    Whole(Repeats),
}

#[derive(Debug, Default)]
struct Outcome {
    cookie: Option<CookieChange>,
    retry_after: Option<Duration>,
    errors: Vec<ServerError>,
}

/// The most entries of lists, of all lists together, that one answer holds: what a query costs is estimated before it
/// runs, but how many roles or sessions somebody has is known only then.
const MAX_ENTRIES: usize = 200_000;

/// Who asks: whoever a mutation signed in asks from then on, so that a payload's fields are answered as to them.
#[derive(Debug, Clone)]
pub struct CallerCell(Arc<Mutex<Caller>>);

impl CallerCell {
    /// Who asks now.
    #[must_use]
    pub fn get(&self) -> Caller {
        lock(&self.0).clone()
    }
}

impl RequestState {
    pub(super) fn new(services: Arc<Services>, context: RequestContext, manner: Manner) -> Self {
        let caller = services.caller(context.principal, Some(context.origin.ip));
        let caller = CallerCell(Arc::new(Mutex::new(caller)));
        Self {
            loaders: Loaders::new(&caller),
            services,
            caller,
            origin: context.origin,
            may_set_cookie: context.may_set_cookie,
            shown_session: context.shown_session,
            manner,
            changed: AtomicBool::new(false),
            outcome: Mutex::default(),
            budget: AtomicUsize::new(MAX_ENTRIES),
        }
    }

    /// Whether what is written already may stand in the place of a list, which is within another list's entry or not.
    #[must_use]
    pub fn takes_written(&self, within_a_list: bool) -> bool {
        match self.manner {
            Manner::ByField => false,
            Manner::Whole(repeats) => !(repeats.above || within_a_list && repeats.below),
        }
    }

    /// The state of the request that is being answered.
    ///
    /// # Errors
    /// INTERNAL, if the schema were run without one.
    pub fn of<'a>(ctx: &Context<'a>) -> ApiResult<&'a Arc<Self>> {
        ctx.data::<Arc<Self>>().map_err(|e| ApiError::internal(&e.message))
    }

    /// The use cases, as open to whoever asks.
    #[must_use]
    pub fn caller(&self) -> Caller {
        self.caller.get()
    }

    /// The use cases that need nobody in particular.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The session that the request showed, as long as it is the one that asks.
    #[must_use]
    pub fn shown_session(&self) -> Option<&ShownSession> {
        self.shown_session
            .as_ref()
            .filter(|_| !self.changed.load(Ordering::Relaxed))
    }

    /// From here on that person asks.
    pub fn become_person(&self, person: Person) {
        self.become_principal(Principal::Person(Arc::new(person)));
    }

    /// From here on nobody asks.
    pub fn become_nobody(&self) {
        self.become_principal(Principal::Nobody);
    }

    fn become_principal(&self, principal: Principal) {
        self.changed.store(true, Ordering::Relaxed);
        self.ask_as(Arc::new(principal));
    }

    fn ask_as(&self, principal: Arc<Principal>) {
        *lock(&self.caller.0) = self.services.caller(principal, Some(self.origin.ip));
    }

    /// Begins another answer of a subscription: for whoever asks by now, and with a whole budget.
    pub(super) fn renew(&self, principal: Arc<Principal>) {
        self.ask_as(principal);
        self.budget.store(MAX_ENTRIES, Ordering::Relaxed);
    }

    /// Sets the session's cookie with the answer.
    pub fn set_cookie(&self, secret: SessionSecret) {
        lock(&self.outcome).cookie = Some(CookieChange::Set(secret));
    }

    /// Clears the session's cookie with the answer.
    pub fn clear_cookie(&self) {
        lock(&self.outcome).cookie = Some(CookieChange::Clear);
    }

    /// Tells the client how long to wait.
    pub fn retry_after(&self, seconds: u64) {
        lock(&self.outcome).retry_after = Some(Duration::from_secs(seconds));
    }

    /// Takes a list's entries from what the answer may still hold.
    ///
    /// # Errors
    /// BAD_REQUEST when it would hold too many.
    pub fn spend(&self, entries: usize) -> ApiResult<()> {
        let left = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(entries));
        match left {
            Ok(_) => Ok(()),
            Err(_) => Err(ApiError::bad_request(format!(
                "the answer would list over {MAX_ENTRIES} things; ask for less"
            ))),
        }
    }

    /// Notes an error of a field that is null in its place.
    pub(super) fn note(&self, error: ServerError) {
        lock(&self.outcome).errors.push(error);
    }

    pub(super) fn take_outcome(&self) -> (Option<CookieChange>, Option<Duration>, Vec<ServerError>) {
        let outcome = std::mem::take(&mut *lock(&self.outcome));
        (outcome.cookie, outcome.retry_after, outcome.errors)
    }
}

/// Nothing that is written under these locks can be left half done, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
