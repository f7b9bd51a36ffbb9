//! The playground: GraphiQL and its assets under `/graphiql`, built from `web/` and embedded into the binary.
//!
//! Nothing is read from disk and nothing is compressed while serving: the build writes a gzip and a brotli form beside
//! each file. Without the feature `pages` the same paths answer 404 and say why.

use axum::Router;

/// The routes of the playground, for any state: they use none.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    pages::router()
}

#[cfg(not(feature = "pages"))]
mod pages {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    const NO_PAGES: &str = "This build of Doorward has no pages: it was built with --no-default-features. \
                            GraphQL is at /graphql; for GraphiQL, use a build with the feature `pages`.\n";

    pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
        let absent = || async { (StatusCode::NOT_FOUND, NO_PAGES) };
        Router::new()
            .route("/graphiql", get(absent))
            .route("/graphiql/", get(absent))
            .route("/graphiql/{*path}", get(absent))
    }
}

#[cfg(feature = "pages")]
mod pages {
    use std::borrow::Cow;

    use axum::Router;
    use axum::body::Body;
    use axum::extract::Path;
    use axum::http::header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
        REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    };
    use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
    use axum::response::{IntoResponse, Response};
    use axum::routing::get;
    use bytes::Bytes;
    use rust_embed::{EmbeddedFile, RustEmbed};

    use crate::domain::text::hex;

    /// What `build.rs` made of `web/`.
    #[derive(RustEmbed)]
    #[folder = "$OUT_DIR/pages"]
    struct Pages;

    const INDEX: &str = "index.html";

    /// Nothing but this origin, and no inline script. Monaco and GraphiQL make `style` elements and attributes, draw with
    /// `data:` images and carry their fonts as `data:` in the style sheet; `connect-src 'self'` covers the WebSocket of
    /// subscriptions.
    const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; \
                          img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; \
                          base-uri 'none'; form-action 'self'";

    pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
        Router::new()
            .route("/graphiql", get(index))
            .route("/graphiql/", get(index))
            .route("/graphiql/{*path}", get(asset))
    }

    async fn index(headers: HeaderMap) -> Response {
        respond(INDEX, &headers)
    }

    async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
        respond(&path, &headers)
    }

    /// The forms a file is embedded in, the preferred one first.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Encoding {
        Brotli,
        Gzip,
        Identity,
    }

    impl Encoding {
        /// The content coding's registered name (RFC 9110 §8.4.1, RFC 7932).
        fn name(self) -> &'static str {
            match self {
                Self::Brotli => "br",
                Self::Gzip => "gzip",
                Self::Identity => "identity",
            }
        }

        /// What the build appends to the file's name.
        fn ending(self) -> &'static str {
            match self {
                Self::Brotli => ".br",
                Self::Gzip => ".gz",
                Self::Identity => "",
            }
        }
    }

    fn respond(path: &str, request: &HeaderMap) -> Response {
        // The compressed forms are chosen by negotiation and have no address of their own.
        let is_form = [Encoding::Brotli, Encoding::Gzip]
            .iter()
            .any(|form| path.ends_with(form.ending()));
        let found = if is_form { None } else { find(path, request) };
        let Some((file, encoding)) = found else {
            return (
                StatusCode::NOT_FOUND,
                "There is no such page. The playground is at /graphiql.\n",
            )
                .into_response();
        };

        let tag = entity_tag(&file);
        let fresh = matches(request, &tag);
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
        set(CACHE_CONTROL, cache_control(path));
        set(VARY, "accept-encoding");
        set(CONTENT_SECURITY_POLICY, POLICY);
        set(X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(REFERRER_POLICY, "no-referrer");
        if !fresh {
            set(CONTENT_TYPE, content_type(path));
            if encoding != Encoding::Identity {
                set(CONTENT_ENCODING, encoding.name());
            }
        }
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        if fresh {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(match file.data {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            });
        }
        response
    }

    /// The file in the best form that the client accepts and the build made.
    fn find(path: &str, request: &HeaderMap) -> Option<(EmbeddedFile, Encoding)> {
        accepted(request).find_map(|encoding| {
            let file = Pages::get(&format!("{path}{}", encoding.ending()))?;
            Some((file, encoding))
        })
    }

    /// The forms the client accepts, best first (RFC 9110 §12.5.3). The plain form always comes last: who refuses even that is
    /// better served by it than by an error.
    fn accepted(request: &HeaderMap) -> impl Iterator<Item = Encoding> + use<> {
        let weights: Vec<(String, f32)> = request
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(weighted)
            .collect();
        let weight = |name: &str| {
            weights
                .iter()
                .find(|(coding, _)| coding == name)
                .map(|(_, weight)| *weight)
        };
        let plain = weight("identity").unwrap_or(0.0);
        let mut compressed: Vec<(Encoding, f32)> = [Encoding::Brotli, Encoding::Gzip]
            .into_iter()
            .map(|encoding| (encoding, weight(encoding.name()).or_else(|| weight("*")).unwrap_or(0.0)))
            .filter(|(_, weight)| *weight > 0.0 && *weight >= plain)
            .collect();
        // Stable: at equal weights brotli stays before gzip.
        compressed.sort_by(|(_, left), (_, right)| right.total_cmp(left));
        compressed
            .into_iter()
            .map(|(encoding, _)| encoding)
            .chain([Encoding::Identity])
    }

    /// `gzip;q=0.5` as its lower-case name and weight; a weight that is not a number counts as a refusal.
    fn weighted(element: &str) -> (String, f32) {
        let mut parts = element.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        (coding, weight)
    }

    /// A strong tag: each form of a file has a digest of its own, made while compiling.
    fn entity_tag(file: &EmbeddedFile) -> String {
        let digest = file.metadata.sha256_hash();
        format!("\"{}\"", hex(&digest[..16]))
    }

    /// Does `If-None-Match` hold this tag (RFC 9110 §13.1.2)? The comparison is weak, as a proxy may have weakened it.
    fn matches(request: &HeaderMap, tag: &str) -> bool {
        request
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    }

    /// Vite puts a digest into the name of everything under `assets/`; the other names stay while their contents change.
    fn cache_control(path: &str) -> &'static str {
        if path.starts_with("assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        }
    }

    fn content_type(path: &str) -> &'static str {
        match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "json" => "application/json",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "ttf" => "font/ttf",
            "woff2" => "font/woff2",
            _ => "application/octet-stream",
        }
    }

    #[cfg(test)]
    mod tests {
        use axum::http::Request;
        use tower::ServiceExt;

        use super::*;

        async fn get(path: &str, headers: &[(HeaderName, &str)]) -> Response {
            let mut request = Request::get(path);
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            router::<()>()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap()
        }

        async fn body(response: Response) -> Bytes {
            axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
        }

        fn header(response: &Response, name: HeaderName) -> Option<&str> {
            response.headers().get(name).map(|value| value.to_str().unwrap())
        }

        fn script() -> String {
            let name = Pages::iter()
                .find(|name| name.starts_with("assets/index-") && name.ends_with(".js"))
                .unwrap();
            format!("/graphiql/{name}")
        }

        #[tokio::test]
        async fn the_page_comes_with_its_policy_and_names_only_this_origin() {
            for path in ["/graphiql", "/graphiql/", "/graphiql/index.html"] {
                let response = get(path, &[]).await;
                assert_eq!(response.status(), StatusCode::OK, "{path}");
                assert_eq!(header(&response, CONTENT_TYPE), Some("text/html; charset=utf-8"));
                assert_eq!(header(&response, CACHE_CONTROL), Some("no-cache"));
                assert_eq!(header(&response, CONTENT_SECURITY_POLICY), Some(POLICY));
                assert_eq!(header(&response, X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
                assert_eq!(header(&response, REFERRER_POLICY), Some("no-referrer"));
                let html = String::from_utf8(body(response).await.to_vec()).unwrap();
                assert!(html.contains("src=\"/graphiql/assets/"), "{html}");
                assert!(!html.contains("//"), "an address of another origin in {html}");
            }
        }

        #[tokio::test]
        async fn every_file_has_a_known_type_and_is_served() {
            for name in Pages::iter().filter(|name| !name.ends_with(".gz") && !name.ends_with(".br")) {
                let response = get(&format!("/graphiql/{name}"), &[]).await;
                assert_eq!(response.status(), StatusCode::OK, "{name}");
                assert_ne!(
                    header(&response, CONTENT_TYPE),
                    Some("application/octet-stream"),
                    "{name}"
                );
                assert_eq!(
                    body(response).await.as_ref(),
                    Pages::get(&name).unwrap().data.as_ref(),
                    "{name}"
                );
            }
        }

        #[tokio::test]
        async fn the_encoding_is_negotiated() {
            let cases = [
                ("", None),
                ("identity", None),
                ("gzip", Some("gzip")),
                ("GZIP, deflate", Some("gzip")),
                ("gzip, deflate, br, zstd", Some("br")),
                ("br;q=0.5, gzip;q=0.8", Some("gzip")),
                ("br;q=0, gzip", Some("gzip")),
                ("*", Some("br")),
                ("br;q=0, *;q=0.1", Some("gzip")),
                ("gzip;q=0.5, identity", None),
                ("gzip;q=x", None),
                ("zstd", None),
                ("*;q=0", None),
            ];
            let path = script();
            let plain = body(get(&path, &[]).await).await;
            for (accept, expected) in cases {
                let response = get(&path, &[(ACCEPT_ENCODING, accept)]).await;
                assert_eq!(response.status(), StatusCode::OK, "{accept}");
                assert_eq!(header(&response, CONTENT_ENCODING), expected, "{accept}");
                assert_eq!(header(&response, VARY), Some("accept-encoding"));
                assert_eq!(header(&response, CONTENT_TYPE), Some("text/javascript; charset=utf-8"));
                assert_eq!(
                    header(&response, CACHE_CONTROL),
                    Some("public, max-age=31536000, immutable")
                );
                let bytes = body(response).await;
                match expected {
                    None => assert_eq!(bytes, plain, "{accept}"),
                    Some("gzip") => assert_eq!(bytes.get(..2), Some([0x1f, 0x8b].as_slice()), "{accept}"),
                    Some(_) => assert!(bytes.len() < plain.len(), "{accept}"),
                }
            }
        }

        #[tokio::test]
        async fn a_known_tag_is_not_sent_again_and_each_form_has_its_own() {
            let path = script();
            let plain = get(&path, &[]).await;
            let packed = get(&path, &[(ACCEPT_ENCODING, "br")]).await;
            let tag = header(&plain, ETAG).unwrap();
            let packed_tag = header(&packed, ETAG).unwrap();
            assert_ne!(tag, packed_tag);

            for known in [tag.to_owned(), format!("\"other\", W/{tag}"), "*".to_owned()] {
                let response = get(&path, &[(IF_NONE_MATCH, &known)]).await;
                assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
                assert_eq!(header(&response, ETAG), Some(tag));
                assert_eq!(header(&response, CONTENT_TYPE), None);
                assert!(body(response).await.is_empty());
            }
            for unknown in [packed_tag, "\"other\"", ""] {
                let response = get(&path, &[(IF_NONE_MATCH, unknown)]).await;
                assert_eq!(response.status(), StatusCode::OK, "{unknown}");
            }
        }

        #[tokio::test]
        async fn what_is_not_embedded_is_not_found() {
            let packed = format!("{}.gz", script());
            let paths = [
                "/graphiql/assets/unknown.js",
                "/graphiql/assets",
                "/graphiql/assets/",
                "/graphiql/../Cargo.toml",
                "/graphiql/%2e%2e%2fCargo.toml",
                "/graphiql/..%5cCargo.toml",
                "/graphiql//etc/passwd",
                "/graphiql/%2fetc%2fpasswd",
                "/graphiql/index.html%00.js",
                packed.as_str(),
            ];
            for path in paths {
                let response = get(path, &[]).await;
                assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
                assert_eq!(
                    header(&response, CONTENT_TYPE),
                    Some("text/plain; charset=utf-8"),
                    "{path}"
                );
            }
        }

        #[tokio::test]
        async fn only_reading_is_allowed() {
            let request = Request::post("/graphiql").body(Body::empty()).unwrap();
            let response = router::<()>().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        }
    }
}

#[cfg(all(test, not(feature = "pages")))]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::router;

    #[tokio::test]
    async fn a_build_without_pages_says_so() {
        for path in ["/graphiql", "/graphiql/", "/graphiql/assets/index.js"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router::<()>().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            let text = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
            assert!(
                String::from_utf8_lossy(&text).contains("--no-default-features"),
                "{path}"
            );
        }
    }
}
