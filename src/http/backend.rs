//! What the HTTP layer needs of everything behind it.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::access::Principal;
use crate::auth::BearerSecret;
use crate::domain::ids::AvatarId;
use crate::domain::login_event::EventOrigin;
use crate::graphql::{Answer, Api, RequestContext};
use crate::service::{self, LinkSeen, NewPasswordByLink, Place, SignedIn};
use crate::store;

/// What the endpoints ask of the layers behind them. [`Api`] is the real one; the seam lets the rules of HTTP be tested
/// with a store that is away, an answer that never comes and a resolver that panics.
#[async_trait]
pub trait Backend: Debug + Send + Sync {
    /// Whose request it is that shows this secret; `None`: nobody's.
    ///
    /// # Errors
    /// Those of the store.
    async fn identify(&self, secret: &BearerSecret) -> service::Result<Option<Principal>>;

    /// Runs one GraphQL request.
    async fn execute(&self, request: async_graphql::Request, context: RequestContext) -> Answer;

    /// Lets whoever has this secret stay connected; `None`: it is nobody's.
    ///
    /// # Errors
    /// Those of the store.
    async fn enter(&self, secret: &BearerSecret) -> service::Result<Option<Place>>;

    /// Runs one subscription for whoever has that place; `None`: nobody.
    fn subscribe(
        &self,
        request: async_graphql::Request,
        place: Option<Place>,
        origin: EventOrigin,
    ) -> BoxStream<'static, async_graphql::Response>;

    /// A picture at that size, with its media type; `None`: there is none by that name.
    ///
    /// # Errors
    /// Those of the store.
    async fn avatar(&self, id: AvatarId, size: u32) -> service::Result<Option<(&'static str, Vec<u8>)>>;

    /// Looks at a link from a mail, and changes nothing; `None`: there is none with that secret.
    ///
    /// # Errors
    /// Those of the store.
    async fn look_at_link(&self, token: &str) -> service::Result<Option<LinkSeen>>;

    /// Sets a password by such a link, and opens a session.
    ///
    /// # Errors
    /// Problems with `token` or `newPassword`, or with who it is for; those of the store.
    async fn redeem_link(&self, new: NewPasswordByLink) -> service::Result<SignedIn>;

    /// Does the store answer?
    ///
    /// # Errors
    /// Why it does not.
    async fn ping(&self) -> store::Result<()>;

    /// How long a session lasts at most, and so its cookie.
    fn session_lifetime(&self) -> Duration;
}

#[async_trait]
impl Backend for Api {
    async fn identify(&self, secret: &BearerSecret) -> service::Result<Option<Principal>> {
        self.services().identify_bearer(secret).await
    }

    async fn execute(&self, request: async_graphql::Request, context: RequestContext) -> Answer {
        Api::execute(self, request, context).await
    }

    async fn enter(&self, secret: &BearerSecret) -> service::Result<Option<Place>> {
        self.presence().enter(secret).await
    }

    fn subscribe(
        &self,
        request: async_graphql::Request,
        place: Option<Place>,
        origin: EventOrigin,
    ) -> BoxStream<'static, async_graphql::Response> {
        Api::subscribe(self, request, place, origin)
    }

    async fn avatar(&self, id: AvatarId, size: u32) -> service::Result<Option<(&'static str, Vec<u8>)>> {
        self.services().avatar(id, size).await
    }

    async fn look_at_link(&self, token: &str) -> service::Result<Option<LinkSeen>> {
        self.services().look_at_link(token).await
    }

    async fn redeem_link(&self, new: NewPasswordByLink) -> service::Result<SignedIn> {
        self.services().redeem_link(new).await
    }

    async fn ping(&self) -> store::Result<()> {
        self.services().store.ping().await
    }

    fn session_lifetime(&self) -> Duration {
        self.services().settings.session_lifetime
    }
}
