//! `/set-password`: the page behind a link in a mail. It works without scripts. A GET, which mail scanners send too, shows
//! the form or why there is none; only the form's POST sets the password, and signs in.
//!
//! The link's token is in the address of the GET and in a field of the form, in no log, and in no `Referer`.

mod form;
mod notice;
mod page;
mod seal;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use secrecy::ExposeSecret as _;

use super::HttpState;
use super::endpoint::in_time;
use super::identity::set_cookie;
use super::media;
use super::params::read_body;
use super::same_origin::FormSource;
use crate::auth::{HashError, SessionSecret};
use crate::domain::account::Language;
use crate::domain::login_event::EventOrigin;
use crate::graphql::CookieChange;
use crate::service::{LinkSeen, NewPasswordByLink, Problem, ServiceError};
use crate::store::StoreError;
use form::Form;
use notice::Notice;
use page::{Page, Shown};
use seal::Seal;

/// The longest form, in bytes: two passwords of the longest that is looked at, all escaped, and then some.
const MAX_FORM: usize = 16 * 1024;

/// The page's methods.
pub(super) fn route() -> MethodRouter<HttpState> {
    get(show)
        .post(submit)
        .fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "/set-password takes GET and POST\n") })
}

async fn show(State(state): State<HttpState>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let visit = Visit {
        state: &state,
        headers: &headers,
    };
    match form::token(query.as_deref().unwrap_or_default()) {
        Ok(token) => visit.page(&token, |_| None).await,
        Err(_) => visit.message(Notice::Damaged),
    }
}

async fn submit(
    State(state): State<HttpState>,
    Extension(origin): Extension<EventOrigin>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let visit = Visit {
        state: &state,
        headers: &parts.headers,
    };
    let source = state.own_origins.of_form(&parts.headers, &parts.uri);
    if let FormSource::Foreign(why) = source {
        tracing::info!(why, "a form was refused");
        return visit.message(Notice::Foreign);
    }
    let form = match visit.form(body).await {
        Ok(form) => form,
        Err(notice) => return visit.message(notice),
    };
    if source == FormSource::Unsaid && !seal::holds(&parts.headers, visit.is_https(), &form.seal) {
        return visit.page(&form.token, |_| Some(Notice::Unproven)).await;
    }
    if form.password.expose_secret() != form.repeat.expose_secret() {
        return visit.page(&form.token, |_| Some(Notice::Differ)).await;
    }
    let length = form.password.expose_secret().chars().count();
    let new = NewPasswordByLink {
        token: form.token.clone(),
        password: form.password,
        origin,
    };
    match in_time(&state, state.backend.redeem_link(new)).await {
        Ok(Ok(signed_in)) => visit.signed_in(signed_in.secret),
        Ok(Err(ServiceError::Problems(problems))) => {
            let why = |seen: &LinkSeen| {
                let of = |problem: &Problem| Notice::of_problem(problem, &seen.policy, length);
                Some(problems.first().map_or(Notice::Refused, of))
            };
            visit.page(&form.token, why).await
        }
        Ok(Err(error)) => visit.message(failure(&error)),
        Err(_) => visit.message(Notice::Unavailable),
    }
}

/// One request for the page.
struct Visit<'a> {
    state: &'a HttpState,
    headers: &'a HeaderMap,
}

impl Visit<'_> {
    /// The page of a link: why it does not work, or the form, with what `why` finds wrong.
    async fn page(&self, token: &str, why: impl FnOnce(&LinkSeen) -> Option<Notice>) -> Response {
        let seen = match in_time(self.state, self.state.backend.look_at_link(token)).await {
            Ok(Ok(Some(seen))) => seen,
            Ok(Ok(None)) => return self.message(Notice::Unknown),
            Ok(Err(error)) => return self.message(failure(&error)),
            Err(_) => return self.message(Notice::Unavailable),
        };
        let notice = Notice::of_link(&seen).or_else(|| why(&seen));
        if notice.is_some_and(|notice| !notice.keeps_form()) {
            return answer(seen.language, notice, None, None);
        }
        let seal = match Seal::of(self.headers, self.is_https(), self.state.entropy.as_ref()) {
            Ok(seal) => seal,
            Err(error) => return self.message(failure(&error.into())),
        };
        let form = Shown {
            login: &seen.login,
            policy: &seen.policy,
            token,
            seal: seal.value(),
        };
        answer(seen.language, notice, Some(form), seal.set_cookie(self.is_https()))
    }

    /// The page without a form, to somebody of whom nothing is known but what their browser says.
    fn message(&self, notice: Notice) -> Response {
        answer(media::language(self.headers), Some(notice), None, None)
    }

    async fn form(&self, body: Body) -> Result<Form, Notice> {
        if !form::is_form(self.headers) {
            return Err(Notice::NoForm);
        }
        let settings = &self.state.settings;
        let body = read_body(
            self.headers,
            body,
            settings.body_bytes.min(MAX_FORM),
            settings.body_time,
        )
        .await;
        let body = body.map_err(|refusal| Notice::Body(refusal.status()))?;
        Form::parse(&body).map_err(Notice::Malformed)
    }

    fn signed_in(&self, secret: SessionSecret) -> Response {
        let lifetime = self.state.backend.session_lifetime();
        let cookie = set_cookie(&CookieChange::Set(secret), lifetime, self.is_https());
        let mut response = StatusCode::SEE_OTHER.into_response();
        let headers = response.headers_mut();
        headers.insert(LOCATION, HeaderValue::from_static("/"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.append(SET_COOKIE, cookie);
        if let Some(cleared) = seal::cleared(self.is_https()) {
            headers.append(SET_COOKIE, cleared);
        }
        response
    }

    fn is_https(&self) -> bool {
        self.state.settings.public_url.scheme() == "https"
    }
}

fn answer(
    language: Language,
    notice: Option<Notice>,
    form: Option<Shown<'_>>,
    cookie: Option<HeaderValue>,
) -> Response {
    let page = Page {
        language,
        notice,
        form,
        cookie,
    };
    page.answer()
}

/// What is said of what nobody in front of the page can put right.
fn failure(error: &ServiceError) -> Notice {
    match error {
        ServiceError::Store(StoreError::Unavailable(_))
        | ServiceError::Stopped(_)
        | ServiceError::Hash(HashError::Busy | HashError::Stopped(_)) => {
            tracing::warn!(%error, "a link could not be followed");
            Notice::Unavailable
        }
        error => {
            tracing::error!(%error, "a link could not be followed");
            Notice::Internal
        }
    }
}
