//! A person's annotations that are too large for a row.

use crate::domain::Error;
use crate::domain::id::ItemUid;
use crate::domain::item::result::LabelResult;
use crate::ports::Objects;

/// A person's result, with its annotations in S3 if they are too large for a row. It is called before the row is written, so a row
/// never names a missing object. An object is named by its bytes: a repeated call writes the same one, and no other call writes over
/// it. One that no row came to name is left there.
///
/// # Errors
/// `Validation`: they are too large to be shown. `ObjectsUnavailable`.
pub async fn kept(objects: &impl Objects, item: ItemUid, result: LabelResult) -> Result<LabelResult, Error> {
    let Some(packed) = result.large()? else { return Ok(result) };
    let blob = packed.as_object_in(&format!("corrections/{item}"));
    objects.put(&blob.key, "application/octet-stream", packed.bytes).await?;
    Ok(LabelResult { elsewhere: Some(blob), ..result })
}
