//! A backend with a schema of its own, and a server around it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_graphql::{Context, EmptySubscription, Object, Schema, Upload};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use reqwest::RequestBuilder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::{Backend, DirectoryState, HttpError, HttpSettings, HttpState, ServerState, Tls, serve};
use crate::access::{Person, Principal};
use crate::auth::{BearerSecret, SessionSecret};
use crate::config::{ForwardedHeader, HttpConfig, LimitsConfig};
use crate::domain::clock::SystemEntropy;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::AvatarId;
use crate::domain::login_event::EventOrigin;
use crate::domain::testing;
use crate::graphql::{Answer, CookieChange, RequestContext};
use crate::origin::{Origins, TrustedProxies};
use crate::service::{self, ErrorCode, LinkSeen, NewPasswordByLink, Place, Problem, SignedIn};
use crate::store::{self, StoreError};

/// What a resolver did beside answering.
#[derive(Debug, Default)]
struct Effects {
    cookie: Option<CookieChange>,
    retry_after: Option<Duration>,
}

type Shared = Arc<Mutex<Effects>>;

fn broken() -> bool {
    panic!("the secret of the resolver")
}

pub(super) struct Query;

#[Object]
impl Query {
    /// `login@account`, or nobody.
    async fn who(&self, ctx: &Context<'_>) -> String {
        match &*ctx.data_unchecked::<RequestContext>().principal {
            Principal::Person(person) => person.qualified_login(),
            Principal::Token(token) => token.qualified_name(),
            Principal::Nobody | Principal::CommandLine => "nobody".to_owned(),
        }
    }

    async fn ip(&self, ctx: &Context<'_>) -> String {
        ctx.data_unchecked::<RequestContext>().origin.ip.to_string()
    }

    async fn browser(&self, ctx: &Context<'_>) -> Option<String> {
        ctx.data_unchecked::<RequestContext>()
            .origin
            .browser
            .as_deref()
            .map(str::to_owned)
    }

    async fn may_set_cookie(&self, ctx: &Context<'_>) -> bool {
        ctx.data_unchecked::<RequestContext>().may_set_cookie
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    async fn fails(&self) -> async_graphql::Result<String> {
        Err("it failed".into())
    }

    async fn never(&self) -> bool {
        std::future::pending().await
    }

    async fn panics(&self) -> bool {
        broken()
    }
}

pub(super) struct Mutation;

#[Object]
impl Mutation {
    /// Counts, once the time has passed.
    async fn count(&self, ctx: &Context<'_>, after_ms: u64) -> usize {
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        ctx.data_unchecked::<Arc<AtomicUsize>>().fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn sign_in(&self, ctx: &Context<'_>) -> bool {
        let secret = SessionSecret::generate(&SystemEntropy).unwrap();
        ctx.data_unchecked::<Shared>().lock().unwrap().cookie = Some(CookieChange::Set(secret));
        true
    }

    async fn sign_out(&self, ctx: &Context<'_>) -> bool {
        ctx.data_unchecked::<Shared>().lock().unwrap().cookie = Some(CookieChange::Clear);
        true
    }

    async fn too_often(&self, ctx: &Context<'_>) -> bool {
        ctx.data_unchecked::<Shared>().lock().unwrap().retry_after = Some(Duration::from_millis(1_001));
        true
    }

    async fn panics(&self) -> bool {
        broken()
    }

    async fn upload(&self, ctx: &Context<'_>, file: Upload) -> async_graphql::Result<usize> {
        Ok(file.value(ctx)?.content.len())
    }
}

/// The layers behind.
#[derive(Debug)]
pub(super) struct Fake {
    people: Mutex<HashMap<TokenHash, Person>>,
    pub(super) links: Mutex<HashMap<String, LinkSeen>>,
    /// What is wrong with every new password.
    pub(super) refuses: Mutex<Option<Problem>>,
    /// Those that were sent with links.
    pub(super) redeemed: Mutex<Vec<NewPasswordByLink>>,
    pub(super) is_away: AtomicBool,
    pub(super) is_mute: AtomicBool,
    pub(super) counted: Arc<AtomicUsize>,
}

#[async_trait]
impl Backend for Fake {
    async fn identify(&self, secret: &BearerSecret) -> service::Result<Option<Principal>> {
        self.ping().await?;
        let person = self.people.lock().unwrap().get(&secret.hash()).cloned();
        Ok(person.map(|person| Principal::Person(Arc::new(person))))
    }

    async fn execute(&self, request: async_graphql::Request, context: RequestContext) -> Answer {
        let effects = Shared::default();
        let schema = Schema::build(Query, Mutation, EmptySubscription).finish();
        let request = request
            .data(context)
            .data(Arc::clone(&effects))
            .data(Arc::clone(&self.counted));
        let response = schema.execute(request).await;
        let Effects { cookie, retry_after } = std::mem::take(&mut *effects.lock().unwrap());
        Answer {
            response,
            cookie,
            retry_after,
        }
    }

    async fn enter(&self, _: &BearerSecret) -> service::Result<Option<Place>> {
        self.ping().await?;
        Ok(None)
    }

    fn subscribe(
        &self,
        _: async_graphql::Request,
        _: Option<Place>,
        _: EventOrigin,
    ) -> BoxStream<'static, async_graphql::Response> {
        Box::pin(futures_util::stream::pending())
    }

    async fn avatar(&self, _: AvatarId, _: u32) -> service::Result<Option<(&'static str, Vec<u8>)>> {
        self.ping().await?;
        Ok(None)
    }

    async fn look_at_link(&self, token: &str) -> service::Result<Option<LinkSeen>> {
        self.ping().await?;
        Ok(self.links.lock().unwrap().get(token).cloned())
    }

    async fn redeem_link(&self, new: NewPasswordByLink) -> service::Result<SignedIn> {
        let seen = self.look_at_link(&new.token).await?;
        let seen = seen.ok_or_else(|| Problem::at(&["token"], ErrorCode::ExpiredLink, "none"))?;
        if let Some(problem) = seen.refusal.or_else(|| self.refuses.lock().unwrap().clone()) {
            return Err(problem.into());
        }
        self.redeemed.lock().unwrap().push(new);
        let (secret, person) = self.open_session();
        Ok(SignedIn { secret, person })
    }

    async fn ping(&self) -> store::Result<()> {
        if self.is_mute.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("10.1.2.3 refused".to_owned()));
        }
        Ok(())
    }

    fn session_lifetime(&self) -> Duration {
        Duration::from_secs(60)
    }
}

impl Fake {
    /// Somebody is signed in from now on.
    fn open_session(&self) -> (SessionSecret, Person) {
        let account = testing::account("acme");
        let user = testing::user(&account, "ann", false);
        let person = Person {
            session: testing::session(&user),
            permissions: Default::default(),
            must_change_password: false,
            user: user.into(),
            account: account.into(),
        };
        let secret = SessionSecret::generate(&SystemEntropy).unwrap();
        self.people.lock().unwrap().insert(secret.hash(), person.clone());
        (secret, person)
    }
}

/// A running server.
pub(super) struct TestServer {
    pub(super) url: String,
    pub(super) address: SocketAddr,
    pub(super) backend: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), HttpError>>,
}

impl TestServer {
    pub(super) fn start() -> Self {
        Self::start_with(|_| {}, None)
    }

    pub(super) fn start_with(change: impl FnOnce(&mut HttpSettings), tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}");
        let mut settings = HttpSettings::new(&HttpConfig::default(), &LimitsConfig::default());
        settings.public_url = "https://door.example.org".parse().unwrap();
        settings.tls = tls.is_some();
        change(&mut settings);
        let backend = Arc::new(Fake {
            people: Mutex::default(),
            links: Mutex::default(),
            refuses: Mutex::default(),
            redeemed: Mutex::default(),
            is_away: AtomicBool::default(),
            is_mute: AtomicBool::default(),
            counted: Arc::default(),
        });
        let loopback = ["127.0.0.0/8".parse().unwrap()];
        let origins = Origins::new(TrustedProxies::new(loopback, ForwardedHeader::XForwardedFor), None);
        let directories = || {
            let server = ServerState {
                url: "ldaps://dc1.example.org".to_owned(),
                is_healthy: false,
            };
            vec![DirectoryState {
                name: "corp".to_owned(),
                servers: vec![server],
            }]
        };
        let state = HttpState::new(
            Arc::clone(&backend) as Arc<dyn Backend>,
            Arc::new(origins),
            Arc::new(directories),
            prometheus_client::registry::Registry::default(),
            settings,
            Arc::new(SystemEntropy),
        );
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(listener, tls, state.unwrap(), async {
            let _ = stopped.await;
        }));
        Self {
            url,
            address,
            backend,
            stop: Some(stop),
            served,
        }
    }

    /// Somebody signs in; the token and who it is.
    pub(super) fn sign_in(&self) -> (String, String) {
        let (secret, person) = self.backend.open_session();
        (secret.expose().to_owned(), person.qualified_login())
    }

    pub(super) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        client.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// A GraphQL request by POST.
    pub(super) fn ask(&self, query: &str) -> RequestBuilder {
        let body = serde_json::json!({ "query": query }).to_string();
        self.request("POST", "/graphql")
            .header("content-type", "application/json")
            .body(body)
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<(), HttpError> {
        self.begin_to_stop();
        self.served.await.unwrap()
    }

    pub(super) fn begin_to_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }
}
