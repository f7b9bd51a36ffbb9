//! `/avatars/{id}`: pictures. Their names are as hard to guess as a session and change with each upload, so that a page shows
//! them without showing who asks, and a browser keeps them for ever.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::HttpState;
use super::endpoint::{in_time, no_identity};
use super::media::Media;
use crate::domain::avatar::Avatar;
use crate::domain::ids::AvatarId;

/// What may be asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default = "usual")]
    size: String,
}

fn usual() -> String {
    "128".to_owned()
}

pub(super) async fn avatar(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let Some(size) = wanted.size.parse().ok().and_then(Avatar::served_size) else {
        return (StatusCode::BAD_REQUEST, "size is 16 to 512\n").into_response();
    };
    let not_found = || (StatusCode::NOT_FOUND, "not found\n").into_response();
    let Ok(id) = id.parse::<uuid::Uuid>().map(AvatarId::from_uuid) else {
        return not_found();
    };
    // A name stands for one picture for ever, so the name and the size say what is in it.
    let tag = format!("\"{id}-{size}\"");
    let found = match in_time(&state, state.backend.avatar(id, size)).await {
        Ok(found) => found.map_err(no_identity),
        Err(refusal) => Err(refusal),
    };
    let (content_type, bytes) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return not_found(),
        Err(refusal) => return refusal.into_response(Media::Json),
    };
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let is_known = known
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|each| each == tag || each == "*");
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(bytes))
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=31536000, immutable"),
    );
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    response
}
