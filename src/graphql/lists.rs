//! The lists of the schema, wherever they stand: arguments read, filters narrowed to the place, pages batched.

use std::sync::Arc;

use async_graphql::{Context, SelectionField};

use crate::access::{Denied, Reach};
use crate::domain::query;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::loaders::CountKey;
use crate::graphql::paging::{Connection, PageArguments};
use crate::graphql::types::filters::tags;
use crate::graphql::types::{
    Account, AccountFilter, AccountOrder, AuditEntry, AuditFilter, Group, LoginEvent, LoginEventFilter, Mail,
    MailFilter, NamedFilter, Role, User, UserFilter, UserOrder,
};
use crate::graphql::written::{Straight, newest_asked_for};

/// Somebody signed in: lists are for nobody else.
fn state<'a>(ctx: &Context<'a>) -> ApiResult<&'a RequestState> {
    let state = RequestState::of(ctx)?;
    state.caller().principal().signed_in()?;
    Ok(state)
}

/// Users; `narrow` adds what the place asks for and says whether anything can be found.
pub(super) async fn users(
    ctx: &Context<'_>,
    filter: Option<UserFilter>,
    order: Option<UserOrder>,
    page: PageArguments,
    narrow: impl FnOnce(&mut query::UserFilter) -> bool,
) -> ApiResult<Straight<Connection<User>>> {
    let state = state(ctx)?;
    let order = order.map_or(query::UserOrder::DEFAULT, Into::into);
    let tag = tags::users(order);
    let request = page.read(tag)?;
    let Some(mut filter) = filter.unwrap_or_default().read(state.services().clock.now())? else {
        return Ok(Straight(Connection::empty()));
    };
    if !narrow(&mut filter) {
        return Ok(Straight(Connection::empty()));
    }
    check_sign_ins(state, &filter, order)?;
    let wanted = sign_ins_wanted(ctx, order);
    let page = state
        .loaders
        .user_page(filter.clone(), order, request.clone(), wanted)
        .await?;
    state.spend(page.items.len())?;
    let count = CountKey::Users(filter);
    Ok(Straight(Connection::new(
        page.map(User::from),
        &request,
        tag,
        Some(count),
    )))
}

/// What of a sign-in only its details hold: see [`SignInsWanted::details`](query::SignInsWanted::details).
pub(super) const DETAILS: [&str; 5] = ["attemptedLogin", "operatingSystem", "device", "userAgent", "detail"];

/// Which sign-ins the selection of a list of users asks for: they come with the users then.
fn sign_ins_wanted(ctx: &Context<'_>, order: query::UserOrder) -> Option<query::SignInsWanted> {
    let users = entries(&[ctx.field()]);
    let histories = below(&users, "loginHistory");
    let newest = histories
        .iter()
        .filter_map(|field| Some(newest_asked_for(field)?.limit + 1));
    Some(query::SignInsWanted {
        newest: newest.max()?,
        details: asks_for_details(&histories),
        last_login: order.field == query::UserOrderField::LastLogin || !below(&users, "lastLogin").is_empty(),
    })
}

/// Does any of these lists of sign-ins show their details?
pub(super) fn asks_for_details(histories: &[SelectionField<'_>]) -> bool {
    let events = entries(histories);
    DETAILS.iter().any(|name| !below(&events, name).is_empty())
}

/// Where lists select their entries.
fn entries<'a>(lists: &[SelectionField<'a>]) -> Vec<SelectionField<'a>> {
    let mut entries = below(&below(lists, "edges"), "node");
    entries.extend(below(lists, "nodes"));
    entries
}

/// The selected fields of that name.
fn below<'a>(fields: &[SelectionField<'a>], name: &str) -> Vec<SelectionField<'a>> {
    let all = fields.iter().flat_map(SelectionField::selection_set);
    all.filter(|field| field.name() == name).collect()
}

/// When somebody last signed in is part of the history: whoever does not read others' may not sort or sift others by it.
fn check_sign_ins(state: &RequestState, filter: &query::UserFilter, order: query::UserOrder) -> ApiResult<()> {
    let asks = order.field == query::UserOrderField::LastLogin
        || filter.last_login_before.is_some()
        || filter.never_signed_in.is_some();
    let caller = state.caller();
    let principal = caller.principal();
    if !asks || principal.reach_of_users() == principal.reach_of_history() {
        return Ok(());
    }
    if matches!(principal.reach_of_users(), Reach::Own(..)) {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "to sort or sift users by their sign-ins takes history:read",
    ))
}

macro_rules! list {
    ($(#[$doc:meta])* $name:ident -> $list:ty, $filter:ident, $domain:ident, $object:ident, $load:ident, $tag:ident, $count:ident, $check:expr) => {
        $(#[$doc])*
        pub(super) async fn $name(
            ctx: &Context<'_>,
            filter: Option<$filter>,
            page: PageArguments,
            narrow: impl FnOnce(&mut query::$domain) -> bool,
        ) -> ApiResult<$list> {
            let state = state(ctx)?;
            $check(state)?;
            let request = page.read(tags::$tag)?;
            let Some(mut filter) = filter.unwrap_or_default().read()? else { return Ok(Connection::empty().into()) };
            if !narrow(&mut filter) {
                return Ok(Connection::empty().into());
            }
            let page = state.loaders.$load(filter.clone(), request.clone()).await?;
            state.spend(page.items.len())?;
            let count = CountKey::$count(filter);
            Ok(Connection::new(page.map($object), &request, tags::$tag, Some(count)).into())
        }
    };
}

fn anybody(_: &RequestState) -> ApiResult<()> {
    Ok(())
}

fn auditor(state: &RequestState) -> ApiResult<()> {
    match state.caller().principal().reach_of_audit() {
        Reach::Nothing => Err(ApiError::from(Denied::Missing(
            crate::domain::role::Permission::AUDIT_READ,
        ))),
        _ => Ok(()),
    }
}

list!(
    /// Roles; see [`users`] for `narrow`.
    roles -> Straight<Connection<Role>>, NamedFilter, NamedFilter, Role, role_page, ROLES, Roles, anybody
);
list!(
    /// Groups; see [`users`] for `narrow`.
    groups -> Straight<Connection<Group>>, NamedFilter, NamedFilter, Group, group_page, GROUPS, Groups, anybody
);
list!(
    /// Sign-ins; see [`users`] for `narrow`.
    login_events -> Straight<Connection<LoginEvent>>, LoginEventFilter, LoginEventFilter, LoginEvent, login_event_page, LOGIN_EVENTS, LoginEvents, anybody
);
list!(
    /// Audit entries; see [`users`] for `narrow`. They take audit:read.
    audit -> Connection<AuditEntry>, AuditFilter, AuditFilter, AuditEntry, audit_page, AUDIT, AuditEntries, auditor
);

/// All accounts, for operators.
pub(super) async fn accounts(
    ctx: &Context<'_>,
    filter: Option<AccountFilter>,
    order: Option<AccountOrder>,
    page: PageArguments,
) -> ApiResult<Connection<Account>> {
    let state = state(ctx)?;
    let by_name = query::AccountOrder {
        field: query::AccountOrderField::Name,
        direction: query::Direction::Asc,
    };
    let order = order.map_or(by_name, Into::into);
    let tag = tags::accounts(order);
    let request = page.read(tag)?;
    let filter = filter.unwrap_or_default().read()?;
    let page = state.caller().accounts(&filter, order, &request).await?;
    Ok(Connection::new(
        Account::page(page),
        &request,
        tag,
        Some(CountKey::Accounts(filter)),
    ))
}

/// The outbox, for operators.
pub(super) async fn mails(
    ctx: &Context<'_>,
    filter: Option<MailFilter>,
    page: PageArguments,
) -> ApiResult<Connection<Mail>> {
    let state = state(ctx)?;
    state.caller().principal().operator()?;
    let request = page.read(tags::MAILS)?;
    let filter = filter.unwrap_or_default().read()?;
    let page = state.caller().mails(&filter, &request).await?;
    state.spend(page.items.len())?;
    Ok(Connection::new(
        page.map(|mail| Mail(Arc::new(mail))),
        &request,
        tags::MAILS,
        Some(CountKey::Mails(filter)),
    ))
}
