//! How the body of an answer is packed (RFC 9110, 8.4.1): the client unpacks gzip, deflate is unpacked here, others are named.

use flate2::{Decompress, FlushDecompress, Status};
use reqwest::header::HeaderValue;

use super::EgressError;

/// Bytes that are unpacked at a time.
const STEP: usize = 64 * 1024;

/// A `Content-Encoding` that the client has not taken care of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// zlib's form or without its frame: servers send both under this name.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstandard,
    /// Another one, or several on top of each other.
    Other,
}

impl Packing {
    /// The packing that the header's values name.
    pub(super) fn of<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Option<Self> {
        let mut packings = values.into_iter().flat_map(|value| {
            value.to_str().unwrap_or("?").split(',').map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>()
        });
        let mut packings = packings.by_ref().filter(|name| !name.is_empty() && name != "identity");
        let first = packings.next()?;
        Some(match first.as_str() {
            _ if packings.next().is_some() => Self::Other,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstandard,
            _ => Self::Other,
        })
    }

    /// Its name, for people. Nothing else of the server's header is repeated.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstandard => "zstd",
            Self::Other => "something else",
        }
    }
}

/// Unpacks deflate, piece by piece.
#[derive(Default)]
pub(super) struct Unpacker {
    /// The beginning, until it shows which form follows.
    head: Vec<u8>,
    stream: Option<Decompress>,
    done: bool,
}

impl Unpacker {
    /// Unpacks some of a piece into `body`, which gets at most `most` bytes long. Answers the rest of the piece.
    pub(super) fn unpack<'a>(
        &mut self,
        piece: &'a [u8],
        body: &mut Vec<u8>,
        most: usize,
    ) -> Result<&'a [u8], EgressError> {
        if self.done {
            return Ok(&[]); // bytes behind the end mean nothing
        }
        let Some(stream) = &mut self.stream else {
            let (beginning, rest) = piece.split_at(piece.len().min(2 - self.head.len()));
            self.head.extend_from_slice(beginning);
            if let [method, flags] = self.head[..] {
                // zlib's header says its method, and is divisible by 31 (RFC 1950, 2.2).
                let is_zlib = method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31);
                self.stream = Some(Decompress::new(is_zlib));
                let head = std::mem::take(&mut self.head);
                self.unpack(&head, body, most)?;
            }
            return Ok(rest);
        };
        body.reserve(STEP.min(most - body.len()));
        let (before, length) = (stream.total_in(), body.len());
        let room = most - length;
        let status = stream.decompress_vec(piece, body, FlushDecompress::None).map_err(|_| EgressError::Broken)?;
        body.truncate(length + (body.len() - length).min(room));
        self.done = status == Status::StreamEnd;
        let read = usize::try_from(stream.total_in() - before).unwrap_or(piece.len());
        if read == 0 && body.len() == length && !self.done {
            return Err(EgressError::Broken); // it would not get any further
        }
        Ok(&piece[read..])
    }

    /// Whether the end has come.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;

    fn packed(text: &[u8]) -> [Vec<u8>; 2] {
        let (mut zlib, mut raw) = (
            ZlibEncoder::new(Vec::new(), Compression::default()),
            DeflateEncoder::new(Vec::new(), Compression::default()),
        );
        zlib.write_all(text).unwrap();
        raw.write_all(text).unwrap();
        [zlib.finish().unwrap(), raw.finish().unwrap()]
    }

    fn unpacked(packed: &[u8], pieces: usize, most: usize) -> Result<(Vec<u8>, bool), EgressError> {
        let (mut unpacker, mut body) = (Unpacker::default(), Vec::new());
        for mut piece in packed.chunks(pieces) {
            while !piece.is_empty() && body.len() < most {
                piece = unpacker.unpack(piece, &mut body, most)?;
            }
        }
        Ok((body, unpacker.is_done()))
    }

    #[test]
    fn both_forms_of_deflate_are_unpacked_in_any_pieces() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| (n / 7).to_string().into_bytes()).collect();
        for form in packed(&text) {
            for pieces in [1, 2, 1_000, usize::MAX] {
                assert!(unpacked(&form, pieces, usize::MAX / 2).unwrap() == (text.clone(), true), "{pieces}");
            }
            assert!(unpacked(&form, 1_000, 5_000).unwrap() == (text[..5_000].to_vec(), false));
            assert!(!unpacked(&form[..form.len() / 2], 1_000, usize::MAX / 2).unwrap().1);
        }
        for form in packed(b"{}") {
            assert_eq!(unpacked(&form, usize::MAX, 100), Ok((b"{}".to_vec(), true)));
        }
        assert_eq!(unpacked(&[0xff; 100], 10, 1_000), Err(EgressError::Broken));
    }

    #[test]
    fn a_packing_is_known_by_its_header() {
        let of = |values: &[&'static str]| {
            Packing::of(&values.iter().map(|value| HeaderValue::from_static(value)).collect::<Vec<_>>())
        };
        for (values, packing) in [
            (&[][..], None),
            (&["identity"], None),
            (&[" Deflate"], Some(Packing::Deflate)),
            (&["br"], Some(Packing::Brotli)),
            (&["zstd"], Some(Packing::Zstandard)),
            (&["compress"], Some(Packing::Other)),
            (&["deflate, gzip"], Some(Packing::Other)),
            (&["deflate", "deflate"], Some(Packing::Other)),
        ] {
            assert_eq!(of(values), packing, "{values:?}");
        }
    }
}
