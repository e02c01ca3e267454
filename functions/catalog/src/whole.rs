//! Results with the annotations that are in S3, since they are too large for a row (docs/decisions/0003 and 0038).

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::domain::Error;
use shared::domain::item::Item;
use shared::ports::Objects;

/// Fetches at once. A page holds at most as many bytes as an answer, in rows and in S3 together.
const FETCHES: usize = 16;

/// The item with all of its result.
///
/// # Errors
/// `ObjectsUnavailable`.
pub(crate) async fn one(objects: &impl Objects, mut item: Item) -> Result<Item, Error> {
    if let Some(result) = &mut item.result
        && let Some(blob) = &result.elsewhere
    {
        result.annotations = blob.read(&objects.get_range(&blob.key, blob.offset, blob.length).await?)?;
    }
    Ok(item)
}

/// The same with the draft of which its result is a correction.
///
/// # Errors
/// `ObjectsUnavailable`.
pub(crate) async fn with_draft(objects: &impl Objects, mut item: Item) -> Result<Item, Error> {
    if let Some(draft) = item.result.as_mut().and_then(|result| result.draft.as_mut())
        && let Some(blob) = &draft.elsewhere
    {
        draft.annotations = blob.read(&objects.get_range(&blob.key, blob.offset, blob.length).await?)?;
    }
    Ok(item)
}

/// The items with all of their results, in the same order.
///
/// # Errors
/// `ObjectsUnavailable`.
pub(crate) async fn all(objects: &impl Objects, items: impl IntoIterator<Item = Item>) -> Result<Vec<Item>, Error> {
    stream::iter(items).map(|item| one(objects, item)).buffered(FETCHES).try_collect().await
}
