//! What people change about themselves.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use crate::domain;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::types::inputs::{clearable, required};
use crate::graphql::types::{Language, NotificationSettingsInput, User};
use crate::service::{Caller, NotificationChanges, Problems, ProfileChanges, Result};

/// Oneself.
#[derive(Debug, Default, Clone, Copy)]
pub struct Profile;

/// Changes to oneself: absent means unchanged, null means cleared.
#[derive(InputObject)]
pub struct UpdateMyProfileInput {
    /// First name.
    first_name: MaybeUndefined<String>,
    /// Last name.
    last_name: MaybeUndefined<String>,
    /// Contact address.
    email: MaybeUndefined<String>,
    /// Telephone, with + and the country's code.
    phone: MaybeUndefined<String>,
    /// Language for mails and pages.
    language: MaybeUndefined<Language>,
    /// Which mails one gets.
    notifications: Option<NotificationSettingsInput>,
}

/// What changing oneself comes to.
#[derive(Debug, SimpleObject)]
pub struct UpdateMyProfilePayload {
    /// Oneself.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Oneself.
#[Object]
impl Profile {
    /// Changes what is given of oneself; for everybody who has signed in.
    async fn update_my_profile(
        &self,
        ctx: &Context<'_>,
        input: UpdateMyProfileInput,
    ) -> ApiResult<UpdateMyProfilePayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (user, user_errors) = payload(update(&caller, input).await)?;
        Ok(UpdateMyProfilePayload {
            user: user.map(User::from),
            user_errors,
        })
    }
}

async fn update(caller: &Caller, input: UpdateMyProfileInput) -> Result<domain::user::User> {
    caller.principal().may_change()?;
    caller.principal().as_person()?;
    let mut problems = Problems::default();
    let changes = ProfileChanges {
        first_name: clearable(input.first_name).map(Option::unwrap_or_default),
        last_name: clearable(input.last_name).map(Option::unwrap_or_default),
        email: clearable(input.email),
        phone: clearable(input.phone),
        language: required(input.language, "language", &mut problems).map(Into::into),
        notifications: input
            .notifications
            .map_or_else(NotificationChanges::default, Into::into),
    };
    problems.check()?;
    caller.update_my_profile(changes).await
}
