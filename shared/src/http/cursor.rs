//! Cursors: where a list or a sweep goes on. JSON in base64url, opaque to clients.
//!
//! A cursor holds no tenant: the key decides whose rows are read. A foreign or forged cursor only moves its caller within the
//! caller's own rows.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Error;

/// The longest position in a cursor of ours.
pub(super) const POSITION_BYTES: usize = 400;

/// The content of a cursor.
pub trait Cursor: Serialize + DeserializeOwned {
    /// The position to go on behind, if it has one.
    fn position(&self) -> Option<&str>;

    /// As clients get it.
    ///
    /// # Errors
    /// `Internal`.
    fn pack(&self) -> Result<String, Error> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).map_err(Error::internal)?))
    }

    /// Reads what [`Cursor::pack`] wrote.
    ///
    /// # Errors
    /// `InvalidCursor`: it is none, or its position is none of ours, which DynamoDB would refuse as a key.
    fn unpack(text: &str) -> Result<Self, Error> {
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::InvalidCursor)?;
        let cursor: Self = serde_json::from_slice(&json).map_err(|_| Error::InvalidCursor)?;
        let is_ours = cursor.position().is_none_or(|after| (1..=POSITION_BYTES).contains(&after.len()));
        if is_ours { Ok(cursor) } else { Err(Error::InvalidCursor) }
    }
}
