//! Values as few bytes: JSON, deflated.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// The packed value, and its bytes before that.
///
/// # Errors
/// `Internal`.
pub fn pack(value: &impl Serialize) -> Result<(Vec<u8>, u64), Error> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut deflate, value).map_err(Error::internal)?;
    deflate.flush().map_err(Error::internal)?;
    let unpacked_bytes = deflate.total_in();
    Ok((deflate.finish().map_err(Error::internal)?, unpacked_bytes))
}

/// What was packed, and its bytes. What we packed fits into `most` of them; damaged bytes must not unpack without end.
///
/// # Errors
/// `Internal`.
pub fn unpack<T: DeserializeOwned>(packed: &[u8], most: u64) -> Result<(T, usize), Error> {
    let mut json = Vec::new();
    DeflateDecoder::new(packed).take(most).read_to_end(&mut json).map_err(Error::internal)?;
    Ok((serde_json::from_slice(&json).map_err(Error::internal)?, json.len()))
}
