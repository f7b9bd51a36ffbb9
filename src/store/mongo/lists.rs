//! Lists: several filters, one round trip.
//!
//! A single filter is a `find`. Several are one aggregation: the first filter's `$match`, `$sort` and `$limit`, then a
//! `$unionWith` of the same shape for each further one, so that each runs on an index of its own; every entry says which
//! filter it is for.

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{self, Bson, Document, RawBsonRef, deserialize_from_slice, doc};
use mongodb::error::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::documents::{At, Id, array};
use super::keyset::Order;
use super::transaction::{READ_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::page::{Page, PageRequest};
use crate::domain::text::fold;
use crate::store::{Result, StoreError};

/// The most filters of one aggregation: the server takes pipelines of up to 1,000 stages.
const MOST_FILTERS: usize = 400;

/// One filter.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// All of these must hold.
    pub(super) conditions: Vec<Document>,
    /// It looks at one account only.
    pub(super) in_account: bool,
}

impl Filter {
    /// With one more condition, if there is one.
    pub(super) fn and(mut self, condition: Option<Document>) -> Self {
        self.conditions.extend(condition);
        self
    }

    /// Of one account, when one is given.
    pub(super) fn account(account: Option<impl Into<Id>>) -> Self {
        Self {
            in_account: account.is_some(),
            conditions: account
                .map(|a| doc! { "account": Into::<Id>::into(a) })
                .into_iter()
                .collect(),
        }
    }

    /// At `since` or later, and before `until`.
    pub(super) fn between(self, since: Option<jiff::Timestamp>, until: Option<jiff::Timestamp>) -> Self {
        self.and(since.map(|at| doc! { "at": { "$gte": At(at) } }))
            .and(until.map(|at| doc! { "at": { "$lt": At(at) } }))
    }

    fn matching(&self, further: &[Document]) -> Document {
        let mut all: Vec<Document> = self.conditions.iter().chain(further).cloned().collect();
        match all.len() {
            0 => Document::new(),
            1 => all.swap_remove(0),
            _ => doc! { "$and": all },
        }
    }
}

/// One of these folded fields begins with `text`, folded; ranges, because a pattern would have to be escaped.
pub(super) fn search(text: &str, fields: &[&str]) -> Option<Document> {
    let prefix = fold(text);
    if prefix.is_empty() {
        return None;
    }
    let range = match after_all_with(&prefix) {
        Some(end) => doc! { "$gte": &prefix, "$lt": end },
        None => doc! { "$gte": &prefix },
    };
    let any: Vec<Document> = fields.iter().map(|field| doc! { *field: range.clone() }).collect();
    Some(doc! { "$or": any })
}

/// The smallest text that is larger than every text with this prefix.
fn after_all_with(prefix: &str) -> Option<String> {
    let mut end: Vec<char> = prefix.chars().collect();
    while let Some(last) = end.pop() {
        // The code points of surrogates are no characters: the one after U+D7FF is U+E000.
        let next = if last == '\u{D7FF}' {
            Some('\u{E000}')
        } else {
            char::from_u32(u32::from(last) + 1)
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}

/// What is read of a document.
#[derive(Debug, Clone)]
pub(super) enum Fields {
    /// Everything else.
    AllBut(&'static [&'static str]),
    /// Nothing else, but for `_id`.
    Only(Vec<&'static str>),
}

impl<const N: usize> From<&'static [&'static str; N]> for Fields {
    fn from(hidden: &'static [&'static str; N]) -> Self {
        Self::AllBut(hidden)
    }
}

impl Fields {
    fn projection(&self) -> Option<Document> {
        match self {
            Self::AllBut([]) => None,
            Self::AllBut(hidden) => Some(without(hidden)),
            Self::Only(fields) => Some(
                fields
                    .iter()
                    .map(|field| ((*field).to_owned(), Bson::Int32(1)))
                    .collect(),
            ),
        }
    }

    fn stage(&self) -> Option<Document> {
        match self {
            Self::AllBut([]) => None,
            Self::AllBut(hidden) => Some(doc! { "$unset": *hidden }),
            Self::Only(_) => self.projection().map(|projection| doc! { "$project": projection }),
        }
    }
}

/// An entry of the list of filter `n`.
#[derive(Deserialize)]
struct Tagged<D> {
    n: usize,
    entry: D,
}

#[derive(Deserialize)]
struct Counted {
    n: usize,
    count: u64,
}

/// What is still to be read for filter `n`.
struct Slice {
    n: usize,
    matching: Document,
    sort: Document,
    limit: usize,
}

impl MongoStore {
    /// A page for each filter, of those `fields` of the documents.
    pub(super) async fn pages<D, T>(
        &self,
        collection: &Collection<D>,
        fields: impl Into<Fields>,
        order: Order,
        filters: &[Filter],
        page: &PageRequest,
    ) -> Result<Vec<Page<T>>>
    where
        D: DeserializeOwned + Send + Sync + Unpin,
        T: From<D>,
    {
        let fields = fields.into();
        let wanted = page.limit + 1;
        let mut read: Vec<Vec<D>> = filters.iter().map(|_| Vec::new()).collect();
        for &segment in order.segments(page.take) {
            let Some(further) = order.conditions(segment, page) else {
                continue;
            };
            let slices: Vec<Slice> = filters
                .iter()
                .zip(&read)
                .enumerate()
                .filter(|(_, (_, entries))| entries.len() < wanted)
                .map(|(n, (filter, entries))| Slice {
                    n,
                    matching: filter.matching(&further),
                    sort: order.sort(segment, page.take, filter.in_account),
                    limit: wanted - entries.len(),
                })
                .collect();
            for chunk in slices.chunks(MOST_FILTERS) {
                self.read_slices(collection, &fields, chunk, &mut read).await?;
            }
        }
        Ok(read
            .into_iter()
            .map(|entries| Page::from_read(entries.into_iter().map(T::from).collect(), page))
            .collect())
    }

    async fn read_slices<D>(
        &self,
        collection: &Collection<D>,
        fields: &Fields,
        slices: &[Slice],
        read: &mut [Vec<D>],
    ) -> Result<()>
    where
        D: DeserializeOwned + Send + Sync + Unpin,
    {
        if let [slice] = slices {
            let found = self
                .find(
                    collection,
                    fields.clone(),
                    slice.matching.clone(),
                    Some(slice.sort.clone()),
                    slice.limit,
                )
                .await?;
            if let Some(entries) = read.get_mut(slice.n) {
                entries.extend(found);
            }
            return Ok(());
        }
        let branches = slices.iter().map(|slice| {
            let mut stages = vec![
                doc! { "$match": &slice.matching },
                doc! { "$sort": &slice.sort },
                doc! { "$limit": stored(slice.limit) },
            ];
            stages.extend(fields.stage());
            stages.push(doc! { "$replaceWith": { "n": { "$literal": stored(slice.n) }, "entry": "$$ROOT" } });
            stages
        });
        let most = slices.iter().map(|slice| slice.limit).sum();
        for Tagged { n, entry } in self
            .aggregate::<_, Tagged<D>>(collection, union(collection, branches), most)
            .await?
        {
            if let Some(entries) = read.get_mut(n) {
                entries.push(entry);
            }
        }
        Ok(())
    }

    /// A count for each filter.
    pub(super) async fn counts<D>(&self, collection: &Collection<D>, filters: &[Filter]) -> Result<Vec<u64>>
    where
        D: Send + Sync,
    {
        if let [filter] = filters {
            round_trip("aggregate");
            let counting = collection.count_documents(filter.matching(&[])).max_time(READ_LIMIT);
            return bounded(READ_LIMIT, async { Ok(vec![counting.await?]) }).await;
        }
        let mut counts = vec![0; filters.len()];
        let numbered: Vec<(usize, &Filter)> = filters.iter().enumerate().collect();
        for chunk in numbered.chunks(MOST_FILTERS) {
            let branches = chunk.iter().map(|(n, filter)| {
                vec![
                    doc! { "$match": filter.matching(&[]) },
                    doc! { "$count": "count" },
                    doc! { "$set": { "n": { "$literal": stored(*n) } } },
                ]
            });
            // A filter that nothing matches gives no document at all.
            let counted: Vec<Counted> = self
                .aggregate(collection, union(collection, branches), chunk.len())
                .await?;
            for Counted { n, count } in counted {
                if let Some(slot) = counts.get_mut(n) {
                    *slot = count;
                }
            }
        }
        Ok(counts)
    }

    /// Those `fields` of the documents with these ids, as far as they exist.
    pub(super) async fn by_ids<D, T, I>(
        &self,
        collection: &Collection<D>,
        fields: impl Into<Fields>,
        ids: &[I],
    ) -> Result<Vec<T>>
    where
        D: DeserializeOwned + Send + Sync + Unpin,
        T: From<D>,
        I: Copy + Into<Id>,
    {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let filter = doc! { "_id": { "$in": array(ids) } };
        let found = self.find(collection, fields, filter, None, ids.len()).await?;
        Ok(found.into_iter().map(T::from).collect())
    }

    /// One `find` of at most `limit` documents, which come in one answer unless they are more than 16 MB.
    pub(super) async fn find<D>(
        &self,
        collection: &Collection<D>,
        fields: impl Into<Fields>,
        filter: Document,
        sort: Option<Document>,
        limit: usize,
    ) -> Result<Vec<D>>
    where
        D: DeserializeOwned + Send + Sync + Unpin,
    {
        round_trip("find");
        let mut finding = collection
            .find(filter)
            .limit(stored(limit))
            .batch_size(one_answer(limit))
            .max_time(READ_LIMIT);
        if let Some(projection) = fields.into().projection() {
            finding = finding.projection(projection);
        }
        if let Some(sort) = sort {
            finding = finding.sort(sort);
        }
        bounded(READ_LIMIT, async {
            // Read from the answer itself: the driver's cursor would copy each document first.
            let mut batches = finding.batch().await?;
            let mut found = Vec::new();
            while let Some(batch) = batches.try_next().await? {
                for document in batch.doc_slices()? {
                    found.push(read(document)?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// One aggregation with about `expected` results.
    pub(super) async fn aggregate<D, R>(
        &self,
        collection: &Collection<D>,
        pipeline: Vec<Document>,
        expected: usize,
    ) -> Result<Vec<R>>
    where
        D: Send + Sync,
        R: DeserializeOwned + Send + Sync + Unpin,
    {
        round_trip("aggregate");
        let aggregating = collection
            .aggregate(pipeline)
            .batch_size(one_answer(expected))
            .max_time(READ_LIMIT)
            .with_type::<R>();
        bounded(READ_LIMIT, async { Ok(aggregating.await?.try_collect().await?) }).await
    }
}

/// One document of a batch.
fn read<D: DeserializeOwned>(document: bson::error::Result<RawBsonRef<'_>>) -> Result<D> {
    match document.map_err(Error::from)? {
        RawBsonRef::Document(document) => Ok(deserialize_from_slice(document.as_bytes()).map_err(Error::from)?),
        other => Err(StoreError::Corrupt(format!(
            "a document was expected, not {:?}",
            other.element_type()
        ))),
    }
}

/// The first branch's stages, and each further branch united with it.
fn union<D: Send + Sync>(collection: &Collection<D>, branches: impl Iterator<Item = Vec<Document>>) -> Vec<Document> {
    let mut pipeline = Vec::new();
    for (n, stages) in branches.enumerate() {
        if n == 0 {
            pipeline = stages;
        } else {
            pipeline.push(doc! { "$unionWith": { "coll": collection.name(), "pipeline": stages } });
        }
    }
    pipeline
}

/// Fields to leave out, as a projection.
pub(super) fn without(hidden: &[&str]) -> Document {
    hidden
        .iter()
        .map(|field| ((*field).to_owned(), Bson::Int32(0)))
        .collect()
}

/// A size as BSON has it.
pub(super) fn stored(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A batch of exactly `limit` leaves the cursor open; one more closes it with the first answer.
pub(super) fn one_answer(limit: usize) -> u32 {
    u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX)
}
