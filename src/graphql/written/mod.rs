//! Lists that are written straight.
//!
//! async-graphql makes a future of every field of every entry, which for a page of plain values is most of the time that the
//! answer takes. [`Straight`] looks at the selection once, makes a plan of it (which value stands under which key), and
//! writes every entry by that plan, as the JSON that is sent. A selection with anything in it that has to be waited for or
//! can fail by itself is none of its business: such a list goes the library's way. So do all under an extension that wants to
//! see each field, and those that the library may have to merge with what stands under the same key, for which it needs
//! values. Both ways give the same answer; the tests hold them against each other.

mod json;
mod login_event;
mod named;
mod user;

pub(super) use json::answer;
pub(super) use user::newest_asked_for;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, OutputType, Positioned, QueryPathSegment, SelectionField, ServerResult, Value,
};
use jiff::Timestamp;

use crate::domain::group::Group;
use crate::domain::ids::{GroupId, RoleId};
use crate::domain::role::Role;
use crate::graphql::context::RequestState;
use crate::graphql::paging::{Connection, Edge, Listed, PageInfo};
use crate::graphql::types::User;
use crate::service::Caller;
use json::Json;

/// Bytes to begin with for an entry: a user of a dashboard takes about that.
const ENTRY: usize = 1_024;

/// A list that is written straight where its selection lets it.
#[derive(Debug)]
pub struct Straight<T>(pub T);

impl<T> From<T> for Straight<T> {
    fn from(list: T) -> Self {
        Self(list)
    }
}

impl<T: Plain + Listed> OutputType for Straight<Connection<T>> {
    fn type_name() -> Cow<'static, str> {
        <Connection<T> as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Connection<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let written = match ctx.data::<Arc<RequestState>>() {
            Ok(state) if state.takes_written(is_in_a_list(ctx)) => self.write(state, ctx, field).await,
            _ => None,
        };
        tracing::trace!(target: "doorward::graphql", list = %Self::type_name(), straight = written.is_some());
        match written {
            Some(value) => Ok(value),
            None => self.0.resolve(ctx, field).await,
        }
    }
}

/// Whether two fields that stand under one key are one: with different names or arguments they should not, but the library
/// does not find all that do.
fn is_the_same(one: &SelectionField<'_>, other: &SelectionField<'_>) -> bool {
    let same_arguments = || match (one.arguments(), other.arguments()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    };
    one.name() == other.name() && same_arguments()
}

/// Whether the object is part of a list's entry.
fn is_in_a_list(ctx: &ContextSelectionSet<'_>) -> bool {
    let mut node = ctx.path_node.as_ref();
    while let Some(part) = node {
        if matches!(part.segment, QueryPathSegment::Index(_)) {
            return true;
        }
        node = part.parent;
    }
    false
}

impl<T: Plain + Listed> Straight<Connection<T>> {
    /// The whole list; `None` when it is not for this way.
    async fn write(
        &self,
        state: &RequestState,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> Option<Value> {
        let (plan, needs) = {
            let field = ctx.with_field(field);
            let mut needs = Needs::default();
            let plan = Plan::<Connection<T>>::of(&[field.field()], &mut needs)?;
            (plan, needs)
        };
        let loaded = Loaded::load(state, &self.0, &needs).await?;
        let mut json = Json::with_capacity(self.0.listed().len() * ENTRY);
        plan.write(&self.0, &loaded, &mut json);
        Some(json.into_value())
    }
}

/// What can be written without waiting, for the fields of which that is true.
pub trait Plain: Sized + Send + Sync + 'static {
    /// The object's name in the schema.
    fn type_name() -> Cow<'static, str>;

    /// What writes a field; `None` when it is none of the plain ones. `asked` is the field as often as the selection has it
    /// under one key, never empty.
    fn column(asked: &[SelectionField<'_>], needs: &mut Needs) -> Option<Column<Self>>;

    /// It as a user, when it is one.
    fn as_user(&self) -> Option<&User> {
        None
    }
}

/// Writes one field.
pub type Column<T> = Box<dyn Fn(&T, &Loaded, &mut Json) + Send + Sync>;

/// What a plan needs besides the list itself.
#[derive(Debug, Default)]
pub struct Needs {
    roles: bool,
    groups: bool,
    total: bool,
    /// Others' sign-ins are looked at.
    history: bool,
    /// Each field with a user's last sign-ins, by how many of them it reads.
    newest: Vec<usize>,
    /// The details of sign-ins.
    details: bool,
    /// Users' last successes.
    last_login: bool,
}

/// That, once it is there.
#[derive(Debug)]
pub struct Loaded {
    caller: Caller,
    now: Timestamp,
    total: u64,
    roles: BTreeMap<RoleId, Arc<Role>>,
    groups: BTreeMap<GroupId, Arc<Group>>,
}

impl Loaded {
    /// Loads what the plan needs for the list's entries; `None` when something would fail, which is for the usual way to say.
    async fn load<T: Plain + Listed>(state: &RequestState, list: &Connection<T>, needs: &Needs) -> Option<Self> {
        let caller = state.caller();
        let users: Vec<&User> = list.listed().iter().filter_map(|edge| edge.entry().as_user()).collect();
        let reach = caller.principal().reach_of_history();
        if needs.history && !users.iter().all(|user| reach.covers(user.0.account, Some(user.0.id))) {
            return None;
        }
        let newest = needs.newest.iter().max();
        if newest.is_some_and(|most| users.iter().any(|user| !user.has_newest(*most, needs.details))) {
            return None;
        }
        if needs.last_login && !users.iter().all(|user| user.has_last_login()) {
            return None;
        }
        let total = async { if needs.total { list.count(state).await } else { Ok(0) } };
        let roles = async {
            let ids = users.iter().filter(|_| needs.roles).flat_map(|user| user.0.each_role());
            state.loaders.roles(distinct(ids)).await
        };
        let groups = async {
            let ids = users
                .iter()
                .filter(|_| needs.groups)
                .flat_map(|user| user.0.each_group());
            state.loaders.groups(distinct(ids)).await
        };
        let (total, roles, groups) = futures_util::try_join!(total, roles, groups).ok()?;
        let loaded = Self {
            now: state.services().clock.now(),
            total,
            roles: roles.into_iter().map(|role| (role.id, role)).collect(),
            groups: groups.into_iter().map(|group| (group.id, group)).collect(),
            caller,
        };
        // What the usual way takes from the answer's budget.
        let entries = users.iter().map(|user| {
            let roles = loaded.roles_of(user).count();
            let groups = loaded.groups_of(user).count();
            let sign_ins: usize = needs.newest.iter().map(|limit| user.newest(*limit).len()).sum();
            roles + groups + sign_ins
        });
        state.spend(entries.sum()).ok()?;
        Some(loaded)
    }

    fn roles_of(&self, user: &User) -> impl Iterator<Item = &Arc<Role>> {
        user.0.each_role().filter_map(|id| self.roles.get(&id))
    }

    fn groups_of(&self, user: &User) -> impl Iterator<Item = &Arc<Group>> {
        user.0.each_group().filter_map(|id| self.groups.get(&id))
    }
}

fn distinct<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<K> {
    let mut keys: Vec<K> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Which value stands under which key of an object.
struct Plan<T>(Vec<Member<T>>);

/// One of them.
struct Member<T> {
    /// What goes before the value: the bracket or comma, the key, the colon.
    before: Vec<u8>,
    value: Column<T>,
}

impl<T: Plain> Plan<T> {
    /// Of everything that is selected in these fields, which stand under one key. What is skipped was taken out before, and
    /// a fragment whose type does not hold is refused, or noticed by [`Repeats`](super::documents::Repeats): all that is
    /// there counts.
    fn of(parents: &[SelectionField<'_>], needs: &mut Needs) -> Option<Self> {
        let mut selected: IndexMap<&str, Vec<SelectionField<'_>>> = IndexMap::new();
        for field in parents.iter().flat_map(SelectionField::selection_set) {
            let key = field.alias().unwrap_or(field.name());
            selected.entry(key).or_default().push(field);
        }
        let members = selected.into_iter().enumerate().map(|(n, (key, asked))| {
            if !asked.iter().all(|field| is_the_same(field, &asked[0])) {
                return None;
            }
            // A key is a GraphQL name, which JSON takes as it is.
            let before = format!("{}\"{key}\":", if n == 0 { '{' } else { ',' }).into_bytes();
            let value: Column<T> = if asked.first()?.name() == "__typename" {
                Box::new(|_, _, json| json.scalar(T::type_name()))
            } else {
                T::column(&asked, needs)?
            };
            Some(Member { before, value })
        });
        // Where everything is skipped, nothing opens the object.
        let members: Vec<_> = members.collect::<Option<_>>()?;
        (!members.is_empty()).then_some(Self(members))
    }

    fn write(&self, thing: &T, loaded: &Loaded, json: &mut Json) {
        for member in &self.0 {
            json.raw(&member.before);
            (member.value)(thing, loaded, json);
        }
        json.raw(b"}");
    }

    fn write_or_null(&self, thing: Option<&T>, loaded: &Loaded, json: &mut Json) {
        match thing {
            Some(thing) => self.write(thing, loaded, json),
            None => json.null(),
        }
    }
}

impl<T: Plain + Listed> Plain for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], needs: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "edges" => {
                let plan = Plan::<Edge<T>>::of(asked, needs)?;
                Box::new(move |list, loaded, json| {
                    json.list(list.listed(), |json, edge| plan.write(edge, loaded, json));
                })
            }
            "nodes" => {
                let plan = Plan::<T>::of(asked, needs)?;
                Box::new(move |list, loaded, json| {
                    json.list(list.listed(), |json, edge| plan.write(edge.entry(), loaded, json));
                })
            }
            "pageInfo" => {
                let plan = Plan::<PageInfo>::of(asked, needs)?;
                Box::new(move |list, loaded, json| plan.write(&list.place(), loaded, json))
            }
            "totalCount" => {
                needs.total = true;
                Box::new(|_, loaded, json| json.scalar(loaded.total))
            }
            _ => return None,
        })
    }
}

impl<T: Plain + Listed> Plain for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], needs: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "cursor" => Box::new(|edge, _, json| json.scalar(edge.place())),
            "node" => {
                let plan = Plan::<T>::of(asked, needs)?;
                Box::new(move |edge, loaded, json| plan.write(edge.entry(), loaded, json))
            }
            _ => return None,
        })
    }
}

impl Plain for PageInfo {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], _: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "hasNextPage" => Box::new(|info, _, json| json.scalar(info.has_next_page)),
            "hasPreviousPage" => Box::new(|info, _, json| json.scalar(info.has_previous_page)),
            "startCursor" => Box::new(|info, _, json| json.scalar(&info.start_cursor)),
            "endCursor" => Box::new(|info, _, json| json.scalar(&info.end_cursor)),
            _ => return None,
        })
    }
}
