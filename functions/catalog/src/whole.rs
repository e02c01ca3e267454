//! Results with the annotations that are in S3, since they are too large for a row (docs/decisions/0003 and 0038).

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::domain::Error;
use shared::domain::id::ItemUid;
use shared::domain::item::Item;
use shared::domain::item::result::LabelResult;
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

/// A person's result, with its annotations in S3 if they are too large for a row. It is called before the row is written, so a row
/// never names a missing object. An object is named by its bytes: a repeated call writes the same one, and no other call writes over
/// it. One that no row came to name is left there.
///
/// # Errors
/// `Validation`: they are too large to be shown. `ObjectsUnavailable`.
pub(crate) async fn kept(objects: &impl Objects, item: ItemUid, result: LabelResult) -> Result<LabelResult, Error> {
    let Some(packed) = result.large()? else { return Ok(result) };
    let blob = packed.as_object_in(&format!("corrections/{item}"));
    objects.put(&blob.key, "application/octet-stream", packed.bytes).await?;
    Ok(LabelResult { elsewhere: Some(blob), ..result })
}
