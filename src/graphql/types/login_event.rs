//! `LoginEvent`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};

use crate::domain;
use crate::domain::page::Position;
use crate::domain::query::login_event_position;
use crate::graphql::context::RequestState;
use crate::graphql::error::ApiResult;
use crate::graphql::node_id;
use crate::graphql::paging::{Listed, OrderTag};
use crate::graphql::scalars::DateTime;
use crate::graphql::types::{LoginMethod, LoginOutcome, User};
use crate::service::Caller;

/// One attempt to sign in.
#[derive(Debug, Clone)]
pub struct LoginEvent(pub Arc<domain::login_event::LoginEvent>);

impl Listed for LoginEvent {
    const NAME: &'static str = "LoginEvent";
    fn position(&self, _: OrderTag) -> Position {
        login_event_position(&self.0)
    }
}

/// One attempt to sign in.
#[Object]
impl LoginEvent {
    /// Its identifier.
    pub async fn id(&self) -> ID {
        node_id::encode(self.0.id)
    }

    /// When.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Null when nobody has that login.
    async fn user(&self, ctx: &Context<'_>) -> Option<ApiResult<User>> {
        load_user(ctx, self.0.user?).await
    }

    /// What was typed; cut to 64 characters when nobody has that login.
    async fn attempted_login(&self) -> &str {
        &self.0.attempted_login
    }

    /// How it ended.
    async fn outcome(&self) -> LoginOutcome {
        self.0.outcome.into()
    }

    /// How it was tried.
    async fn method(&self) -> LoginMethod {
        self.0.method.into()
    }

    /// The client's address, seen through trusted proxies only.
    async fn ip(&self) -> String {
        self.0.origin.ip.to_string()
    }

    /// Where that is.
    async fn location(&self) -> Option<Location> {
        self.0.origin.location.clone().map(Location::from)
    }

    /// "Firefox 140".
    async fn browser(&self) -> Option<&str> {
        self.0.origin.browser.as_deref()
    }

    /// "Windows 10".
    async fn operating_system(&self) -> Option<&str> {
        self.0.origin.operating_system.as_deref()
    }

    /// Kind or model of the device.
    async fn device(&self) -> Option<&str> {
        self.0.origin.device.as_deref()
    }

    /// The User-Agent header, cut to 512 characters.
    async fn user_agent(&self) -> Option<&str> {
        self.0.origin.user_agent.as_deref()
    }

    /// What an administrator may want to know, such as Active Directory's sub-code; for history:read only.
    async fn detail(&self, ctx: &Context<'_>) -> ApiResult<Option<String>> {
        Ok(self.detail_for(&RequestState::of(ctx)?.caller()))
    }

    /// Who really acted.
    async fn impersonator(&self, ctx: &Context<'_>) -> Option<ApiResult<User>> {
        load_user(ctx, self.0.impersonator.as_ref()?.user).await
    }

    /// Who really acted, also when that is an operator, whom an account cannot see.
    async fn impersonator_name(&self) -> Option<&str> {
        self.0.impersonator.as_ref().map(|i| i.name.as_str())
    }
}

impl LoginEvent {
    /// Its detail, as far as the caller sees it.
    pub(in crate::graphql) fn detail_for(&self, caller: &Caller) -> Option<String> {
        if !caller.reads_history_of(self.0.account) {
            return None;
        }
        match (self.0.attempts, &self.0.detail) {
            (2.., None) => Some(format!("{} attempts over the limit in this minute", self.0.attempts)),
            (_, detail) => detail.clone(),
        }
    }
}

/// A user that may be gone, or not exist for the caller.
pub(super) async fn load_user(ctx: &Context<'_>, id: domain::ids::UserId) -> Option<ApiResult<User>> {
    let state = match RequestState::of(ctx) {
        Ok(state) => state,
        Err(error) => return Some(Err(error)),
    };
    state
        .loaders
        .user(id)
        .await
        .map(|user| user.map(User::from))
        .transpose()
}

/// A place.
#[derive(Debug, Clone, SimpleObject)]
pub struct Location {
    /// The country's English name.
    country: Option<String>,
    /// ISO 3166-1 alpha-2.
    country_code: Option<String>,
    /// The city's English name.
    city: Option<String>,
    /// Degrees north.
    latitude: Option<f64>,
    /// Degrees east.
    longitude: Option<f64>,
}

impl From<domain::location::Location> for Location {
    fn from(location: domain::location::Location) -> Self {
        let domain::location::Location {
            country,
            country_code,
            city,
            latitude,
            longitude,
        } = location;
        Self {
            country: country.map(Into::into),
            country_code: country_code.map(Into::into),
            city: city.map(Into::into),
            latitude,
            longitude,
        }
    }
}
