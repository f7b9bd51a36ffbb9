//! `/graphql`: from an HTTP request to GraphQL and back.

use std::future::Future;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{ServerError, Value};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use tracing::Instrument as _;

use super::HttpState;
use super::identity::{Credentials, NOT_VALID, set_cookie};
use super::media::{Content, Media};
use super::params;
use super::refusal::Refusal;
use super::socket;
use crate::access::Principal;
use crate::auth::BearerSecret;
use crate::domain::login_event::EventOrigin;
use crate::graphql::{Answer, CookieChange, RequestContext, ShownSession};
use crate::service::ServiceError;
use crate::store::StoreError;

const TAKES_TOO_LONG: &str = "the answer took too long; ask for less, or try again later";
const STORE_AWAY: &str = "the store is not available; try again later";

/// Answers a GraphQL request, or lets a WebSocket come of it.
pub(super) async fn endpoint(
    State(state): State<HttpState>,
    Extension(origin): Extension<EventOrigin>,
    request: Request,
) -> Response {
    if socket::is_asked_for(&request) {
        socket::upgrade(state, origin, request).await
    } else {
        graphql(state, origin, request).await
    }
}

async fn graphql(state: HttpState, origin: EventOrigin, request: Request) -> Response {
    let accepted = Media::accepted(request.headers());
    let media = accepted.unwrap_or(Media::Json);
    let mut cookie = None;
    let result = match accepted {
        Some(_) => answer(&state, origin, request, &mut cookie).await,
        None => Err(Refusal::bad(
            StatusCode::NOT_ACCEPTABLE,
            "Accept should take application/graphql-response+json or application/json",
        )),
    };
    let mut response = match result {
        Ok(answer) => {
            let rendered = render(&answer, media);
            cookie = answer.cookie.or(cookie);
            rendered
        }
        Err(refusal) => refusal.into_response(media),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(change) = cookie {
        let secure = state.settings.public_url.scheme() == "https";
        headers.append(
            SET_COOKIE,
            set_cookie(&change, state.backend.session_lifetime(), secure),
        );
    }
    response
}

/// `cookie` is cleared when what the request carries opens nothing, whatever else becomes of the request.
async fn answer(
    state: &HttpState,
    origin: EventOrigin,
    request: Request,
    cookie: &mut Option<CookieChange>,
) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    if ![Method::GET, Method::POST].contains(&parts.method) {
        return Err(Refusal::method("GET, POST, OPTIONS", "/graphql takes GET and POST"));
    }
    let asking = identify(state, &parts.headers, &parts.uri, cookie).await?;
    let mut query = if parts.method == Method::GET {
        params::from_query_string(parts.uri.query().unwrap_or_default())?
    } else {
        read(state, &parts.headers, body).await?
    };
    state.parsed.parse(&mut query);
    let operation = params::operation(&mut query);
    if parts.method == Method::GET && !matches!(operation, None | Some(OperationType::Query)) {
        return Err(Refusal::method("POST", "GET is for queries only; send this by POST"));
    }

    let context = RequestContext {
        principal: Arc::new(asking.principal),
        origin,
        may_set_cookie: asking.may_set_cookie,
        shown_session: asking.shown_session,
    };
    let backend = Arc::clone(&state.backend);
    let execution = async move { backend.execute(query, context).await };
    if operation == Some(OperationType::Mutation) {
        // A mutation runs to its end even when the client goes away or the time is over: whoever hangs up in the middle
        // of a sign-in must not escape being counted.
        let task = tokio::spawn(execution.in_current_span());
        match in_time(state, task).await? {
            Ok(answer) => Ok(answer),
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Err(Refusal::unavailable("the server is stopping; try again")),
        }
    } else {
        in_time(state, execution).await
    }
}

pub(super) async fn in_time<T>(state: &HttpState, future: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::time::timeout(state.settings.answer_time, future)
        .await
        .map_err(|_| {
            tracing::warn!("no answer within {:?}", state.settings.answer_time);
            Refusal::unavailable(TAKES_TOO_LONG)
        })
}

/// Who asks.
struct Asking {
    principal: Principal,
    shown_session: Option<ShownSession>,
    /// The request may ask for a cookie.
    may_set_cookie: bool,
}

async fn identify(
    state: &HttpState,
    headers: &HeaderMap,
    uri: &Uri,
    cookie: &mut Option<CookieChange>,
) -> Result<Asking, Refusal> {
    let credentials = Credentials::of(headers);
    let from_ours = state.own_origins.check(headers, uri);
    let is_multipart = matches!(Content::of(headers), Some(Content::Multipart(_)));
    if let Err(why) = from_ours
        && (is_multipart || matches!(credentials, Credentials::Cookie(_)))
    {
        let what = if is_multipart {
            "a multipart request"
        } else {
            "a request with the session's cookie"
        };
        return Err(Refusal::forbidden(format!(
            "{what} must come from the same origin: {why}"
        )));
    }
    let nobody = Asking {
        principal: Principal::Nobody,
        shown_session: None,
        may_set_cookie: from_ours.is_ok(),
    };
    let (secret, by_cookie) = match credentials {
        Credentials::None => return Ok(nobody),
        Credentials::Malformed(why) => return Err(Refusal::unauthenticated(why)),
        Credentials::Bearer(secret) => (Some(secret), false),
        Credentials::Cookie(secret) => (secret.map(BearerSecret::Session), true),
    };
    let found = match &secret {
        Some(secret) => in_time(state, state.backend.identify(secret))
            .await?
            .map_err(no_identity)?,
        None => None,
    };
    match (found, secret) {
        (Some(principal), Some(secret)) => Ok(Asking {
            principal,
            shown_session: match secret {
                BearerSecret::Session(secret) => Some(ShownSession {
                    secret: Arc::new(secret),
                    by_cookie,
                }),
                BearerSecret::Token(_) => None,
            },
            ..nobody
        }),
        _ if by_cookie => {
            *cookie = Some(CookieChange::Clear);
            Ok(nobody)
        }
        _ => Err(Refusal::unauthenticated(NOT_VALID)),
    }
}

pub(super) fn no_identity(error: ServiceError) -> Refusal {
    tracing::error!(%error, "whose request it is could not be found out");
    match error {
        ServiceError::Store(StoreError::Unavailable(_)) | ServiceError::Stopped(_) => Refusal::unavailable(STORE_AWAY),
        ServiceError::Store(_)
        | ServiceError::Problems(_)
        | ServiceError::Denied(_)
        | ServiceError::Hash(_)
        | ServiceError::Entropy(_)
        | ServiceError::Mail(_) => Refusal::internal(),
    }
}

async fn read(state: &HttpState, headers: &HeaderMap, body: Body) -> Result<async_graphql::Request, Refusal> {
    let Some(content) = Content::of(headers) else {
        return Err(Refusal::bad(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type should be application/json in UTF-8, or multipart/form-data for uploads",
        ));
    };
    let limit = state.settings.body_bytes;
    let body = params::read_body(headers, body, limit, state.settings.body_time).await?;
    match content {
        Content::Json => params::from_json(&body),
        Content::Multipart(content_type) => params::from_multipart(&content_type, body, limit).await,
    }
}

fn render(answer: &Answer, media: Media) -> Response {
    let body = match answer.to_json() {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            return Refusal::internal().into_response(media);
        }
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    if let Some(wait) = answer.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if answer.is_refusal() && media == Media::GraphqlResponse {
        let status = status_of(answer.errors());
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        *response.status_mut() = status;
    }
    response
}

/// The status for a request that was not executed.
fn status_of(errors: &[ServerError]) -> StatusCode {
    let code = errors.first().and_then(|error| error.extensions.as_ref()?.get("code"));
    match code {
        Some(Value::String(code)) => match code.as_str() {
            "UNAUTHENTICATED" => StatusCode::UNAUTHORIZED,
            "FORBIDDEN" => StatusCode::FORBIDDEN,
            "UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            "INTERNAL" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        },
        _ => StatusCode::BAD_REQUEST,
    }
}
