//! Values as few bytes: JSON, deflated.

use std::io::{BufWriter, Read, Write};

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
    write_json(&mut deflate, value)?;
    deflate.flush().map_err(Error::internal)?;
    let unpacked_bytes = deflate.total_in();
    Ok((deflate.finish().map_err(Error::internal)?, unpacked_bytes))
}

/// Writes a value as JSON in few pieces: an encoder clears 32 KB of memory for each write, and `serde_json` makes one for every
/// comma.
///
/// # Errors
/// `Internal`.
pub fn write_json(encoder: &mut impl Write, value: &impl Serialize) -> Result<(), Error> {
    let mut pieces = BufWriter::new(encoder);
    serde_json::to_writer(&mut pieces, value).map_err(Error::internal)?;
    pieces.into_inner().map_err(|error| Error::internal(error.into_error()))?;
    Ok(())
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
