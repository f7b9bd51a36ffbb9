//! Pictures of users: uploads by the multipart request specification, and what is served of them.

use std::io::Cursor;

use doorward::domain::user::User;
use doorward::graphql::node_id;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, on_both_stores, user_errors};

on_both_stores!(
    each_format_is_kept_as_a_square,
    nothing_but_the_pixels_is_kept,
    what_is_no_picture_is_refused,
    it_is_served_by_a_name_of_its_own,
    others_take_the_right_to_change_their_user,
);

/// Left half red, right half blue.
fn picture(width: u32, height: u32) -> DynamicImage {
    let color = |x: u32| {
        if x < width / 2 {
            Rgb([220, 10, 10])
        } else {
            Rgb([10, 10, 220])
        }
    };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, _| color(x)))
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// Uploads a file, for oneself or for that user; the payload.
async fn upload(gateway: &Gateway, asker: &Asker<'_>, of: Option<&User>, kind: &str, bytes: &[u8]) -> Value {
    const QUERY: &str = "mutation($input: SetAvatarInput!) { setAvatar(input: $input) { user { avatarUrl revision }
        userErrors { code message path } } }";
    let mut input = json!({ "image": null });
    if let Some(user) = of {
        input["id"] = json!(node_id::encode(user.id).to_string());
    }
    let operations = json!({ "query": QUERY, "variables": { "input": input } }).to_string();
    let mut body = Vec::new();
    for (name, text) in [
        ("operations", operations.as_str()),
        ("map", r#"{"0":["variables.input.image"]}"#),
    ] {
        let part = format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head =
        format!("--XX\r\nContent-Disposition: form-data; name=\"0\"; filename=\"me\"\r\nContent-Type: {kind}\r\n\r\n");
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--XX--\r\n");
    let request = gateway
        .post("/graphql")
        .header("content-type", "multipart/form-data; boundary=XX")
        .header("sec-fetch-site", "same-origin")
        .bearer_auth(asker.token.as_deref().unwrap())
        .body(body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"]["setAvatar"].clone()
}

/// The path of a payload's picture, at that size.
fn path(payload: &Value, size: &str) -> String {
    let url = payload["user"]["avatarUrl"]
        .as_str()
        .unwrap_or_else(|| panic!("{payload:#}"));
    let start = url.find("/avatars/").unwrap();
    let end = url.find('?').unwrap();
    format!("{}?size={size}", &url[start..end])
}

async fn get(gateway: &Gateway, path: &str, tag: Option<&str>) -> reqwest::Response {
    let mut request = reqwest::Client::new().get(format!("{}{path}", gateway.url));
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    request.send().await.unwrap()
}

async fn served(gateway: &Gateway, path: &str) -> DynamicImage {
    let response = get(gateway, path, None).await;
    assert_eq!(response.status(), 200);
    image::load_from_memory(&response.bytes().await.unwrap()).unwrap()
}

async fn ann(gateway: &Gateway) -> Asker<'_> {
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    gateway.sign_in("ann@acme").await
}

async fn each_format_is_kept_as_a_square(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let ann = ann(&gateway).await;
    for (format, kind) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::WebP, "image/webp"),
    ] {
        let payload = upload(&gateway, &ann, None, kind, &file(&picture(900, 600), format)).await;
        assert_eq!(user_errors(&payload), Vec::<String>::new());
        for (wanted, side) in [("32", 32), ("100", 128), ("512", 512)] {
            let found = served(&gateway, &path(&payload, wanted)).await.to_rgb8();
            assert_eq!(found.dimensions(), (side, side), "{kind} {wanted}");
            let (left, right) = (found.get_pixel(2, side / 2), found.get_pixel(side - 3, side / 2));
            assert!(
                left[0] > 150 && left[2] < 90 && right[2] > 150 && right[0] < 90,
                "{left:?} {right:?}"
            );
        }
    }
    // A small one is not blown up, and what shines through goes on doing so.
    let glass = DynamicImage::ImageRgba8(RgbaImage::from_pixel(40, 40, Rgba([0, 200, 0, 100])));
    let payload = upload(&gateway, &ann, None, "image/png", &file(&glass, ImageFormat::Png)).await;
    let found = served(&gateway, &path(&payload, "512")).await.to_rgba8();
    assert_eq!(
        (found.dimensions(), found.get_pixel(20, 20).0),
        ((40, 40), [0, 200, 0, 100])
    );
    assert_eq!(payload["user"]["revision"], json!(5));
}

/// A JPEG with an EXIF block that turns it by 90° and says where it was taken.
fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
    tiff.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0]); // Orientation: 6
    tiff.extend([0x01, 0x0e, 0, 2, 0, 0, 0, 20, 0, 0, 0, 38]); // ImageDescription
    tiff.extend([0, 0, 0, 0]);
    tiff.extend(b"GPS 48.2082N 16.37E\0");
    let mut exif = b"Exif\0\0".to_vec();
    exif.extend(tiff);
    let length = u16::try_from(exif.len() + 2).unwrap();
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

async fn nothing_but_the_pixels_is_kept(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let ann = ann(&gateway).await;
    let mut bytes = with_exif(&file(&picture(300, 300), ImageFormat::Jpeg));
    bytes.extend(b"<script>what follows the picture</script>");
    let payload = upload(&gateway, &ann, None, "image/jpeg", &bytes).await;
    for size in ["512", "64"] {
        let kept = get(&gateway, &path(&payload, size), None).await.bytes().await.unwrap();
        for secret in [&b"Exif"[..], b"48.2082N", b"<script>"] {
            assert!(
                !kept.windows(secret.len()).any(|w| w == secret),
                "{}",
                secret.escape_ascii()
            );
        }
    }
    // Turned as it says: what was on the left is on top.
    let found = served(&gateway, &path(&payload, "512")).await.to_rgb8();
    let (top, bottom) = (found.get_pixel(150, 5), found.get_pixel(150, 290));
    assert!(top[0] > 150 && bottom[2] > 150, "{top:?} {bottom:?}");
}

/// A PNG of which there is no more than a header that promises so many pixels.
fn bomb(side: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    header.extend([8, 6, 0, 0, 0]);
    let crc = header.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 }
        })
    });
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    bytes.extend(header);
    bytes.extend((!crc).to_be_bytes());
    bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    bytes
}

async fn what_is_no_picture_is_refused(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let ann = ann(&gateway).await;
    let png = file(&picture(64, 64), ImageFormat::Png);
    let jpeg = file(&picture(64, 64), ImageFormat::Jpeg);
    let mut large = jpeg.clone();
    large.resize(2 * 1024 * 1024 + 1, 0);
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    for (kind, bytes, error, says) in [
        ("image/jpeg", &png[..], "INVALID image", "image is said to be"),
        ("text/html", &png, "INVALID image", "image is said to be"),
        ("image/png", &png[..png.len() / 2], "INVALID image", "cannot be read"),
        ("image/png", &bomb(50_000), "INVALID image", "cannot be read"),
        ("image/svg+xml", svg, "INVALID image", "neither PNG nor JPEG nor WebP"),
        ("image/gif", b"GIF89a\x01\0\x01\0\0\0\0;", "INVALID image", "neither"),
        ("image/png", b"", "INVALID image", "neither"),
        ("image/jpeg", &large, "TOO_LONG image", "2097152 is the most"),
    ] {
        let started = std::time::Instant::now();
        let payload = upload(&gateway, &ann, None, kind, bytes).await;
        assert_eq!(user_errors(&payload), [error], "{kind} {payload}");
        let message = payload["userErrors"][0]["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
        assert!(started.elapsed().as_secs() < 5, "{kind}: before anything is decoded");
    }
    let payload = ann.mutate("setAvatar", json!({}), "user { id }").await;
    assert_eq!(user_errors(&payload), ["REQUIRED image"]);
    assert_eq!(
        ann.data("{ viewer { user { avatarUrl revision } } }").await["viewer"]["user"],
        json!({ "avatarUrl": null, "revision": 1 })
    );
}

async fn it_is_served_by_a_name_of_its_own(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let ann = ann(&gateway).await;
    let acme = gateway
        .services
        .command_line()
        .account_by_name("acme")
        .await
        .unwrap()
        .unwrap();
    gateway.master(&acme, "owner").await;
    let payload = upload(
        &gateway,
        &ann,
        None,
        "image/png",
        &file(&picture(64, 64), ImageFormat::Png),
    )
    .await;
    let first = path(&payload, "128");
    let response = get(&gateway, &first, None).await;
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/jpeg");
    assert_eq!(header("cache-control"), "private, max-age=31536000, immutable");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").starts_with("default-src 'none'"));
    let tag = header("etag");
    for known in [tag.clone(), format!("\"x\", {tag}"), "*".to_owned()] {
        let response = get(&gateway, &first, Some(&known)).await;
        assert_eq!(response.status(), 304, "{known}");
        assert_eq!(response.bytes().await.unwrap().len(), 0);
    }
    assert_eq!(get(&gateway, &first, Some("\"x\"")).await.status(), 200);
    for size in ["15", "513", "-1", "x", ""] {
        assert_eq!(get(&gateway, &path(&payload, size), None).await.status(), 400, "{size}");
        let query = format!(
            "{{ viewer {{ user {{ avatarUrl(size: {}) }} }} }}",
            size.parse().unwrap_or(0)
        );
        assert_eq!(ann.error(&query).await, "BAD_REQUEST", "{size}");
    }
    for unknown in [
        "/avatars/x",
        "/avatars/0197-x",
        "/avatars/01980000-0000-7000-8000-000000000000",
    ] {
        assert_eq!(get(&gateway, unknown, None).await.status(), 404, "{unknown}");
    }

    // Another picture has another name, and the old one's is forgotten.
    let payload = upload(
        &gateway,
        &ann,
        None,
        "image/jpeg",
        &file(&picture(80, 80), ImageFormat::Jpeg),
    )
    .await;
    let second = path(&payload, "128");
    assert_ne!(first, second);
    assert_eq!(
        (
            get(&gateway, &first, None).await.status(),
            get(&gateway, &second, None).await.status()
        ),
        (404.try_into().unwrap(), 200.try_into().unwrap())
    );
    let payload = ann
        .mutate("setAvatar", json!({ "image": null }), "user { avatarUrl revision }")
        .await;
    assert_eq!(payload["user"], json!({ "avatarUrl": null, "revision": 4 }));
    assert_eq!(get(&gateway, &second, None).await.status(), 404);
    let again = ann
        .mutate("setAvatar", json!({ "image": null }), "user { revision }")
        .await;
    assert_eq!(again["user"]["revision"], json!(4), "nothing to take away");

    let owner = gateway.sign_in("owner@acme").await;
    let log = owner.data("{ auditLog(filter: {action: \"setAvatar\"}) { nodes { actor targetName changes { field before after } } } }").await;
    let nodes = log["auditLog"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    assert_eq!(
        nodes[0]["changes"],
        json!([{ "field": "avatar", "before": "a picture", "after": null }])
    );
}

async fn others_take_the_right_to_change_their_user(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, blue) = (gateway.account("acme").await, gateway.account("blue").await);
    let writer = gateway.role(&acme, "Writer", &["users:write"]).await;
    gateway
        .user_with(&acme, "writer", |new| new.roles = vec![Some(writer)])
        .await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.master(&acme, "owner").await;
    gateway.user(&acme, "plain").await;
    gateway.master(&blue, "stranger").await;
    let png = file(&picture(64, 64), ImageFormat::Png);
    let by = gateway.sign_in("writer@acme").await;
    let payload = upload(&gateway, &by, Some(&ann), "image/png", &png).await;
    let url = path(&payload, "64");
    assert_eq!(get(&gateway, &url, None).await.status(), 200);
    let payload = upload(&gateway, &by, Some(&owner), "image/png", &png).await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED id"]);
    let stranger = gateway.sign_in("stranger@blue").await;
    let payload = upload(&gateway, &stranger, Some(&ann), "image/png", &png).await;
    assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    let take = format!(
        "mutation {{ setAvatar(input: {{id: \"{}\", image: null}}) {{ user {{ id }} }} }}",
        *node_id::encode(ann.id)
    );
    assert_eq!(gateway.sign_in("plain@acme").await.error(&take).await, "FORBIDDEN");
    assert_eq!(gateway.nobody().error(&take).await, "UNAUTHENTICATED");
    // It goes with its user.
    let gone = gateway.services.command_line();
    gone.write_users().unwrap().delete(ann.id).await.unwrap();
    assert_eq!(get(&gateway, &url, None).await.status(), 404);
}
