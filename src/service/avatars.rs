//! Pictures of users: taken in, cleaned, and served at several sizes.

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};
use tokio::sync::Semaphore;

use crate::domain::audit::FieldChange;
use crate::domain::avatar::{Avatar, AvatarKind};
use crate::domain::ids::{AvatarId, UserId};
use crate::domain::user::User;
use crate::service::users::{action_on, no_such_user};
use crate::service::{Caller, ErrorCode, Problem, Result, ServiceError, Services};
use crate::store::StoreError;

/// A picture as it was sent.
#[derive(Debug)]
pub struct Upload {
    /// What it says that it is.
    pub content_type: Option<String>,
    /// The file.
    pub bytes: Vec<u8>,
}

/// How well a JPEG is kept: what is lost at this is not seen.
const QUALITY: u8 = 85;
/// What decoding one picture may take: the largest sides at 16 bits a channel.
const MAX_ALLOC: u64 = 4096 * 4096 * 8;
/// A user changed at the very moment is read again this often.
const TRIES: usize = 3;

/// So many pictures are worked on at a time; decoded, one may take a hundred megabytes.
static AT_A_TIME: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

impl Caller {
    /// Sets a user's picture, or takes it away; `of` is somebody else, `None` oneself.
    ///
    /// # Errors
    /// Problems with `image`, or with `id`; [`Denied`](crate::access::Denied); those of the store.
    pub async fn set_avatar(&self, of: Option<Option<UserId>>, upload: Option<Upload>) -> Result<User> {
        self.principal().may_change()?;
        let own = of.is_none_or(|of| of.is_some() && of == self.principal().user());
        let id = match of {
            _ if own => self.principal().as_person()?.user.id,
            Some(id) => {
                let writes = self.write_users()?;
                let id = id.ok_or_else(no_such_user)?;
                writes.writable(id).await?.0.id
            }
            None => return Err(no_such_user().into()),
        };
        let cleaned = match upload {
            Some(upload) => Some(cleaned(upload).await??),
            None => None,
        };
        for _ in 0..TRIES {
            let user = self.store().users_by_ids(&[id]).await?.pop().ok_or_else(no_such_user)?;
            if cleaned.is_none() && user.avatar.is_none() {
                return Ok(user);
            }
            let account = self.store().accounts_by_ids(&[user.account]).await?.pop();
            let account = account.ok_or_else(no_such_user)?;
            let avatar = match &cleaned {
                Some((kind, bytes)) => Some(Avatar {
                    id: AvatarId::generate(self.services.clock.as_ref(), self.services.entropy.as_ref())?,
                    account: user.account,
                    user: user.id,
                    kind: *kind,
                    bytes: bytes.clone(),
                }),
                None => None,
            };
            let named = |there: bool| there.then(|| "a picture".to_owned());
            let change = FieldChange {
                field: "avatar".to_owned(),
                before: named(user.avatar.is_some()),
                after: avatar.as_ref().map(|a| format!("a picture of {} bytes", a.bytes.len())),
            };
            let audit = self.audit(action_on("setAvatar", &user, &account, vec![change]))?;
            let at = self.now();
            match self
                .store()
                .set_avatar(id, user.revision, avatar.as_ref(), at, &audit)
                .await
            {
                Ok(()) => {
                    return Ok(User {
                        avatar: avatar.map(|a| a.id),
                        revision: user.revision + 1,
                        updated_at: at,
                        ..user
                    });
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(StoreError::NotFound) => return Err(no_such_user().into()),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("the user keeps changing".to_owned()).into())
    }
}

impl Services {
    /// A picture at one of [`Avatar::SIZES`], with its media type; `None` when there is no such picture. Whoever knows its
    /// identifier may see it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn avatar(&self, id: AvatarId, size: u32) -> Result<Option<(&'static str, Vec<u8>)>> {
        let Some(avatar) = self.store.avatar(id).await? else {
            return Ok(None);
        };
        let kind = avatar.kind;
        let bytes = worked(move || scaled(avatar, size)).await?;
        let bytes = bytes.map_err(|e| StoreError::Corrupt(format!("the picture {id} cannot be read: {e}")))?;
        Ok(Some((kind.content_type(), bytes)))
    }
}

/// A picture with nothing in it but its pixels, or what is wrong with it.
pub(super) async fn cleaned(upload: Upload) -> Result<std::result::Result<(AvatarKind, Vec<u8>), Problem>> {
    worked(move || clean(&upload)).await
}

/// Runs what computes for long where it holds up nobody.
async fn worked<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let stopped = |e: &dyn std::fmt::Display| ServiceError::Stopped(e.to_string());
    let permit = Arc::clone(&AT_A_TIME).acquire_owned().await.map_err(|e| stopped(&e))?;
    let work = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    work.await.map_err(|e| stopped(&e))
}

/// A square picture with nothing in it but its pixels.
fn clean(upload: &Upload) -> Result<(AvatarKind, Vec<u8>), Problem> {
    let invalid = |message: String| Problem::at(&["image"], ErrorCode::Invalid, message);
    if upload.bytes.len() > Avatar::MAX_UPLOAD {
        let message = format!(
            "image has {} bytes; {} is the most",
            upload.bytes.len(),
            Avatar::MAX_UPLOAD
        );
        return Err(Problem::at(&["image"], ErrorCode::TooLong, message));
    }
    let format = match image::guess_format(&upload.bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => format,
        _ => return Err(invalid("image is neither PNG nor JPEG nor WebP".to_owned())),
    };
    let declared = upload
        .content_type
        .as_deref()
        .filter(|t| *t != "application/octet-stream");
    if let Some(declared) = declared.filter(|t| !t.eq_ignore_ascii_case(format.to_mime_type())) {
        let (declared, found): (String, _) = (declared.chars().take(64).collect(), format.to_mime_type());
        return Err(invalid(format!("image is said to be {declared:?} and is {found}")));
    }
    let picture = decoded(&upload.bytes, format).map_err(|e| invalid(format!("image cannot be read: {e}")))?;
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let square = picture.crop_imm(left, top, side, side);
    let square = if side > Avatar::SIDE {
        square.resize_exact(Avatar::SIDE, Avatar::SIDE, FilterType::Lanczos3)
    } else {
        square
    };
    let transparent = square.color().has_alpha() && square.to_rgba8().pixels().any(|p| p.0[3] < u8::MAX);
    let kind = if transparent { AvatarKind::Png } else { AvatarKind::Jpeg };
    let bytes = encoded(&square, kind).map_err(|e| invalid(format!("image cannot be kept: {e}")))?;
    Ok((kind, bytes))
}

/// The pixels, upright. What is too large is refused by its header, before anything is decoded.
fn decoded(bytes: &[u8], format: ImageFormat) -> image::ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(Avatar::MAX_SIDE);
    limits.max_image_height = Some(Avatar::MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOC);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn encoded(picture: &DynamicImage, kind: AvatarKind) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    match kind {
        AvatarKind::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
            picture.to_rgb8().write_with_encoder(encoder)?;
        }
        AvatarKind::Png => {
            let picture = DynamicImage::ImageRgba8(picture.to_rgba8());
            picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
        }
    }
    Ok(bytes)
}

/// The picture at that size, or as it is when that is no larger.
fn scaled(avatar: Avatar, size: u32) -> image::ImageResult<Vec<u8>> {
    let format = match avatar.kind {
        AvatarKind::Jpeg => ImageFormat::Jpeg,
        AvatarKind::Png => ImageFormat::Png,
    };
    let picture = decoded(&avatar.bytes, format)?;
    if picture.width() <= size {
        return Ok(avatar.bytes);
    }
    encoded(&picture.resize_exact(size, size, FilterType::Lanczos3), avatar.kind)
}
