//! The structures of a zip file (PKWARE, "APPNOTE.TXT", 4.3 to 4.5), one entry at a time.
//!
//! An entry goes into the file, and its record beside it: the records follow the last entry. So a file of any length is written from its
//! begin to its end, over many steps, and no more than one entry is in memory. Where a number is too large for its field, zip64 has it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use crate::domain::Error;

/// What stands in a field whose number zip64 has.
const ELSEWHERE: u32 = u32::MAX;
/// The same of a field of 16 bits.
const ELSEWHERE_16: u16 = u16::MAX;
/// The version that reads an entry: 2.0, and 4.5 with zip64.
const PLAIN: u16 = 20;
const ZIP64: u16 = 45;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
/// 1980-01-01, the first date there is. Entries have no dates of their own, and equal labels are equal files.
const DATE: u16 = (1 << 5) | 1;
/// Made by Unix, version 4.5; a plain file that its owner writes and everybody reads.
const MADE_BY: u16 = (3 << 8) | ZIP64;
const PLAIN_FILE: u32 = 0o100_644 << 16;

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// Its path, with slashes.
    pub(super) name: &'a str,
    /// The CRC-32 of its bytes.
    pub(super) crc: u32,
    /// Its bytes.
    pub(super) bytes: u64,
    /// The same, compressed by deflate; `None`: it is not compressed.
    pub(super) packed: Option<u64>,
}

/// The archive so far, to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Archive {
    entries: u64,
    /// Bytes of all records.
    records: u64,
}

impl Archive {
    /// What is before the bytes of the next entry, which begins at `at`, and its record.
    pub(super) fn add(&mut self, entry: &Entry<'_>, at: u64) -> (Vec<u8>, Vec<u8>) {
        let record = entry.record(at);
        self.entries += 1;
        self.records += record.len() as u64;
        (entry.header(), record)
    }

    /// A whole entry that is compressed, and its record.
    ///
    /// # Errors
    /// `Internal`.
    pub(super) fn add_text(&mut self, name: &str, text: &[u8], at: u64) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text).map_err(Error::internal)?;
        let packed = packer.finish().map_err(Error::internal)?;
        let (crc, bytes) = (crc32fast::hash(text), text.len() as u64);
        let (mut file, record) = self.add(&Entry { name, crc, bytes, packed: Some(packed.len() as u64) }, at);
        file.extend(packed);
        Ok((file, record))
    }

    /// The end of the file, behind the last record. `bytes`: those of the file up to there.
    pub(super) fn end(&self, bytes: u64) -> Vec<u8> {
        let (entries, at) = (self.entries, bytes - self.records);
        let mut end = Vec::new();
        let is_large = entries >= u64::from(ELSEWHERE_16) || bytes >= u64::from(ELSEWHERE);
        if is_large {
            let record = Fields::of(0x0606_4b50).eight(44).two(MADE_BY).two(ZIP64).four(0).four(0);
            end.extend(record.eight(entries).eight(entries).eight(self.records).eight(at).0);
            end.extend(Fields::of(0x0706_4b50).four(0).eight(bytes).four(1).0);
        }
        let short = u16::try_from(entries).unwrap_or(ELSEWHERE_16);
        let record = Fields::of(0x0605_4b50).two(0).two(0).two(short).two(short);
        end.extend(record.four(within(self.records)).four(within(at)).two(0).0);
        end
    }
}

/// The number, or where it is.
fn within(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(ELSEWHERE)
}

impl Entry<'_> {
    fn stored(&self) -> u64 {
        self.packed.unwrap_or(self.bytes)
    }

    /// What is before its bytes. If one of the two lengths is in zip64, both are.
    fn header(&self) -> Vec<u8> {
        let (stored, bytes) = (self.stored(), self.bytes);
        let is_large = stored.max(bytes) >= u64::from(ELSEWHERE);
        let (lengths, extra) = if is_large {
            ([ELSEWHERE; 2], Fields::default().two(1).two(16).eight(bytes).eight(stored).0)
        } else {
            ([within(stored), within(bytes)], Vec::new())
        };
        self.common(Fields::of(0x0403_4b50).two(if is_large { ZIP64 } else { PLAIN }), lengths, extra.len())
            .bytes(self.name.as_bytes())
            .bytes(&extra)
            .0
    }

    /// Its record among those at the end. `at`: where its header begins.
    fn record(&self, at: u64) -> Vec<u8> {
        let (stored, bytes) = (self.stored(), self.bytes);
        let large = [bytes, stored, at].into_iter().filter(|number| *number >= u64::from(ELSEWHERE));
        let values = large.fold(Fields::default(), Fields::eight).0;
        let extra = match u16::try_from(values.len()) {
            Ok(0) | Err(_) => Vec::new(),
            Ok(length) => Fields::default().two(1).two(length).bytes(&values).0,
        };
        let version = if extra.is_empty() { PLAIN } else { ZIP64 };
        let lengths = [within(stored), within(bytes)];
        self.common(Fields::of(0x0201_4b50).two(MADE_BY).two(version), lengths, extra.len())
            .two(0) // its comment
            .two(0) // its disk
            .two(0)
            .four(PLAIN_FILE)
            .four(within(at))
            .bytes(self.name.as_bytes())
            .bytes(&extra)
            .0
    }

    /// From the flags to the length of the extra field, as both have it.
    fn common(&self, fields: Fields, [stored, bytes]: [u32; 2], extra: usize) -> Fields {
        let short = |length: usize| u16::try_from(length).unwrap_or(ELSEWHERE_16); // an item's key is far shorter
        let method = if self.packed.is_some() { 8 } else { 0 };
        let dated = fields.two(FLAGS).two(method).two(0).two(DATE).four(self.crc);
        dated.four(stored).four(bytes).two(short(self.name.len())).two(short(extra))
    }
}

/// Fields, little-endian.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn of(signature: u32) -> Self {
        Self::default().four(signature)
    }

    fn two(self, number: u16) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    fn four(self, number: u32) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    fn eight(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_archive_has_no_zip64_and_a_large_one_has_the_numbers_there() {
        let entry = Entry { name: "a", crc: 1, bytes: 3, packed: None };
        let mut small = Archive::default();
        let (header, record) = small.add(&entry, 0);
        assert_eq!((header.len(), record.len(), small.end(34 + 47).len()), (31, 47, 22));

        let mut large = Archive::default();
        let (_, record) = large.add(&entry, 5_000_000_000);
        assert_eq!(record.len(), 47 + 4 + 8);
        assert_eq!(record[42..46], ELSEWHERE.to_le_bytes());
        assert_eq!(record[51..], 5_000_000_000u64.to_le_bytes());
        let end = large.end(6_000_000_000);
        assert_eq!(end.len(), 56 + 20 + 22);
        assert_eq!(end[48..56], (6_000_000_000u64 - record.len() as u64).to_le_bytes());
        assert_eq!(end[64..72], 6_000_000_000u64.to_le_bytes());

        let many = Archive { entries: 70_000, records: 0 };
        assert_eq!(many.end(100).len(), 56 + 20 + 22);
        let huge = Entry { bytes: 1 << 32, ..entry };
        assert_eq!((huge.header().len(), huge.record(0).len()), (31 + 20, 47 + 20));
    }
}
