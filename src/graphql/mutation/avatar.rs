//! Pictures of users.

use std::io::Read as _;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject, Upload};

use crate::domain;
use crate::domain::avatar::Avatar;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::User;
use crate::service::{self, Caller, ErrorCode, Problem};

/// What working on a picture counts for in the cost of a request.
const PICTURE: usize = 2000;

/// Pictures of users.
#[derive(Debug, Default, Clone, Copy)]
pub struct Avatars;

/// A picture.
#[derive(InputObject)]
pub struct SetAvatarInput {
    /// With users:write somebody else; oneself when absent.
    id: Option<ID>,
    /// PNG, JPEG or WebP, up to 2 MiB and 4096 pixels a side; null takes the picture away.
    image: MaybeUndefined<Upload>,
}

/// What setting a picture comes to.
#[derive(Debug, SimpleObject)]
pub struct SetAvatarPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Pictures of users.
#[Object]
impl Avatars {
    /// Sets a user's picture, by a multipart request, or takes it away. It is kept as a square, without anything in it but
    /// its pixels.
    #[graphql(complexity = "PICTURE + child_complexity")]
    async fn set_avatar(&self, ctx: &Context<'_>, input: SetAvatarInput) -> ApiResult<SetAvatarPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let upload = match input.image {
            MaybeUndefined::Undefined => Err(Problem::at(
                &["image"],
                ErrorCode::Required,
                "image is missing; give a file, or null to take the picture away",
            )),
            MaybeUndefined::Null => Ok(None),
            MaybeUndefined::Value(upload) => Ok(Some(read(ctx, &upload)?)),
        };
        let of = input.id.map(|id| node_id::decode(&id));
        let (user, user_errors) = payload(set(&caller, of, upload).await)?;
        Ok(SetAvatarPayload {
            user: user.map(User::from),
            user_errors,
        })
    }
}

async fn set(
    caller: &Caller,
    of: Option<Option<domain::ids::UserId>>,
    upload: Result<Option<service::Upload>, Problem>,
) -> service::Result<domain::user::User> {
    caller.principal().may_change()?;
    caller.set_avatar(of, upload?).await
}

/// No more of the file than tells that it is too large.
fn read(ctx: &Context<'_>, upload: &Upload) -> ApiResult<service::Upload> {
    let unreadable = |e: std::io::Error| ApiError::bad_request(format!("the upload cannot be read: {e}"));
    let value = upload.value(ctx).map_err(unreadable)?;
    let content_type = value.content_type.clone();
    let mut bytes = Vec::new();
    let most = u64::try_from(Avatar::MAX_UPLOAD).unwrap_or(u64::MAX) + 1;
    value
        .into_read()
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(service::Upload { content_type, bytes })
}
