//! Values as few bytes: JSON, deflated.

use std::io::{self, BufWriter, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Error;

/// The packed value, and its bytes before that.
///
/// # Errors
/// `Internal`.
pub fn pack(value: &impl Serialize) -> Result<(Vec<u8>, u64), Error> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    write_json(&mut deflate, value)?;
    deflate.try_finish().map_err(Error::internal)?;
    let unpacked_bytes = deflate.total_in();
    Ok((deflate.finish().map_err(Error::internal)?, unpacked_bytes))
}

/// Whether a value is at most so many bytes of JSON. It is written to nowhere, and no further than that: packing it to see
/// would take twenty times as many instructions (decision 0019).
#[must_use]
pub fn is_small(value: &impl Serialize, most: usize) -> bool {
    serde_json::to_writer(&mut Room(most), value).is_ok()
}

/// Bytes of a value as JSON.
///
/// # Errors
/// `Internal`.
pub fn json_bytes(value: &impl Serialize) -> Result<usize, Error> {
    let mut room = Room(usize::MAX);
    serde_json::to_writer(&mut room, value).map_err(Error::internal)?;
    Ok(usize::MAX - room.0)
}

/// Bytes that may still be written.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a value as JSON in few pieces: an encoder clears 32 KB of memory for each write, and `serde_json` makes one for every
/// comma.
///
/// # Errors
/// `Internal`.
pub fn write_json(encoder: &mut impl Write, value: &impl Serialize) -> Result<(), Error> {
    write_pieces(encoder, value, b"")
}

/// The same, as a line.
///
/// # Errors
/// `Internal`.
pub fn write_line(encoder: &mut impl Write, value: &impl Serialize) -> Result<(), Error> {
    write_pieces(encoder, value, b"\n")
}

fn write_pieces(encoder: &mut impl Write, value: &impl Serialize, end: &[u8]) -> Result<(), Error> {
    let mut pieces = BufWriter::new(encoder);
    serde_json::to_writer(&mut pieces, value).map_err(Error::internal)?;
    pieces.write_all(end).map_err(Error::internal)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_says_how_long_it_was_and_reads_back() {
        let value = vec!["car"; 1_000];
        let (packed, unpacked_bytes) = pack(&value).unwrap();

        assert_eq!(unpacked_bytes, serde_json::to_vec(&value).unwrap().len() as u64);
        let (read, bytes): (Vec<String>, usize) = unpack(&packed, unpacked_bytes).unwrap();
        assert_eq!((read, bytes as u64), (vec!["car".to_owned(); 1_000], unpacked_bytes));
    }

    #[test]
    fn small_is_to_the_byte() {
        let value = vec!["car", "person"];
        let bytes = serde_json::to_vec(&value).unwrap().len();

        assert!(is_small(&value, bytes));
        assert!(!is_small(&value, bytes - 1));
    }

    #[test]
    fn a_line_is_the_json_and_its_end() {
        let mut lines = Vec::new();
        write_line(&mut lines, &1).unwrap();
        write_line(&mut lines, &[2]).unwrap();

        assert_eq!(lines, b"1\n[2]\n");
    }
}
