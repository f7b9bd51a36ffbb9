//! What lists mean, in plain Rust: filter everything, sort everything, cut out the page.

use std::cmp::Ordering;
use std::fmt::Debug;

use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::page::{Page, PageRequest, Position, SortKey, Take};
use crate::domain::query::{AccountFilter, AuditFilter, Direction, UserFilter};
use crate::domain::text::fold;
use crate::domain::user::User;

/// `None` in a filter asks for nothing; what is given must equal.
fn wants<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

pub(crate) fn account_matches(filter: &AccountFilter, account: &Account) -> bool {
    let search = filter.search.as_deref().unwrap_or("");
    wants(filter.status.as_ref(), &account.status)
        && (filter.directory.is_none() || filter.directory == account.directory)
        && (account.name.as_str().starts_with(search) || fold(&account.title).starts_with(search))
}

pub(crate) fn user_matches(filter: &UserFilter, user: &User) -> bool {
    let email = user.email.as_ref().map(|e| e.folded());
    let last_login = user.last_login.as_ref().map(|e| e.at);
    let found = |search: &String| {
        user.login.as_str().starts_with(search)
            || fold(&user.first_name).starts_with(search)
            || fold(&user.last_name).starts_with(search)
            || email.as_ref().is_some_and(|e| e.starts_with(search))
    };
    wants(filter.account.as_ref(), &user.account)
        && wants(filter.id.as_ref(), &user.id)
        && filter.search.as_ref().is_none_or(found)
        && filter.login.as_ref().is_none_or(|l| l == user.login.as_str())
        && filter.email.as_ref().is_none_or(|e| email.as_ref() == Some(e))
        && wants(filter.status.as_ref(), &user.status)
        && wants(filter.is_master.as_ref(), &user.is_master())
        && wants(filter.is_ldap.as_ref(), &user.is_ldap)
        && filter
            .is_locked
            .is_none_or(|(locked, now)| locked == user.locked_until.is_some_and(|until| until > now))
        && wants(filter.language.as_ref(), &user.language)
        && filter.role.is_none_or(|role| user.roles().contains(&role))
        && filter.group.is_none_or(|group| user.groups().contains(&group))
        && filter.created_after.is_none_or(|t| user.created_at > t)
        && filter
            .last_login_before
            .is_none_or(|t| last_login.is_some_and(|at| at < t))
        && wants(filter.never_signed_in.as_ref(), &last_login.is_none())
}

pub(crate) fn entry_matches(filter: &AuditFilter, entry: &AuditEntry) -> bool {
    wants(filter.account.as_ref(), &entry.account)
        && filter.actor.is_none_or(|actor| entry.actor_user == Some(actor))
        && wants(filter.action.as_ref(), &entry.action)
        && wants(filter.target_type.as_ref(), &entry.target_type)
        && wants(filter.target_id.as_ref(), &entry.target_id)
        && filter.since.is_none_or(|t| entry.at >= t)
        && filter.until.is_none_or(|t| entry.at < t)
}

/// Which of two places comes first: nulls last in both directions, ties by id in the list's direction.
pub(crate) fn compare(a: &Position, b: &Position, direction: Direction) -> Ordering {
    let turned = |ordering: Ordering| match direction {
        Direction::Asc => ordering,
        Direction::Desc => ordering.reverse(),
    };
    let by_key = match (&a.key, &b.key) {
        (SortKey::Text(Some(a)), SortKey::Text(Some(b))) => turned(a.cmp(b)),
        (SortKey::Time(Some(a)), SortKey::Time(Some(b))) => turned(a.cmp(b)),
        (a, b) => a.is_null().cmp(&b.is_null()),
    };
    by_key.then_with(|| turned(a.id.cmp(&b.id)))
}

pub(crate) fn sort<T>(items: &mut [T], position: impl Fn(&T) -> Position, direction: Direction) {
    items.sort_by(|a, b| compare(&position(a), &position(b), direction));
}

/// The page of a whole, sorted list.
pub(crate) fn page<T: Clone>(
    sorted: &[T],
    position: impl Fn(&T) -> Position,
    direction: Direction,
    request: &PageRequest,
) -> Page<T> {
    let inside: Vec<T> = sorted
        .iter()
        .filter(|item| {
            let here = position(item);
            request
                .after
                .as_ref()
                .is_none_or(|after| compare(&here, after, direction).is_gt())
                && request
                    .before
                    .as_ref()
                    .is_none_or(|before| compare(&here, before, direction).is_lt())
        })
        .cloned()
        .collect();
    let has_more = inside.len() > request.limit;
    let items = match request.take {
        Take::First => inside.into_iter().take(request.limit).collect(),
        Take::Last => {
            let skipped = inside.len().saturating_sub(request.limit);
            inside.into_iter().skip(skipped).collect()
        }
    };
    Page { items, has_more }
}

/// Walks a whole list from one end to the other, `size` at a time.
pub(crate) async fn walk<T>(
    take: Take,
    size: usize,
    position: impl Fn(&T) -> Position,
    read: impl AsyncFn(PageRequest) -> Page<T>,
) -> Vec<T> {
    let mut request = PageRequest {
        take,
        ..PageRequest::first(size)
    };
    let mut walked = Vec::new();
    loop {
        let page = read(request.clone()).await;
        assert!(page.items.len() <= size, "a page of {} for {size}", page.items.len());
        let edge = match take {
            Take::First => page.items.last(),
            Take::Last => page.items.first(),
        };
        let edge = edge.map(&position);
        match take {
            Take::First => {
                request.after = edge;
                walked.extend(page.items);
            }
            Take::Last => {
                request.before = edge;
                walked.splice(0..0, page.items);
            }
        }
        assert!(walked.len() <= 20_000, "the walk does not end");
        if !page.has_more {
            return walked;
        }
    }
}

/// Reads a list in every way a page can be asked for, and holds each page against the model's.
///
/// `sorted` is the whole list as it must come.
pub(crate) async fn check_pages<T: Clone + PartialEq + Debug>(
    sorted: &[T],
    direction: Direction,
    position: impl Fn(&T) -> Position,
    read: impl AsyncFn(PageRequest) -> Page<T>,
) {
    assert!(sorted.len() > 4, "a list of {} shows nothing", sorted.len());
    let all = read(PageRequest::first(PageRequest::MAX)).await;
    assert_eq!(all.items, sorted, "the whole list, {direction:?}");
    assert!(!all.has_more);
    for size in [1, 7] {
        let forwards = walk(Take::First, size, &position, &read).await;
        assert_eq!(forwards, sorted, "forwards by {size}, {direction:?}");
        let backwards = walk(Take::Last, size, &position, &read).await;
        assert_eq!(backwards, sorted, "backwards by {size}, {direction:?}");
    }
    // Places of entries, and places between entries with the same key, such as a cursor to an entry that is gone.
    let mut places: Vec<Option<Position>> = vec![None];
    for index in [
        0,
        sorted.len() / 3,
        sorted.len() / 2,
        sorted.len() - 2,
        sorted.len() - 1,
    ] {
        let place = position(&sorted[index]);
        places.extend([uuid::Uuid::nil(), uuid::Uuid::max()].map(|id| Some(Position { id, ..place.clone() })));
        places.push(Some(place));
    }
    for after in &places {
        for before in &places {
            for (take, limit) in [(Take::First, 3), (Take::Last, 3), (Take::First, 0), (Take::Last, 200)] {
                let request = PageRequest {
                    limit,
                    take,
                    after: after.clone(),
                    before: before.clone(),
                };
                let expected = page(sorted, &position, direction, &request);
                assert_eq!(read(request.clone()).await, expected, "{direction:?} {request:?}");
            }
        }
    }
}
