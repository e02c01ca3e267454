//! Point clouds without a magic: PCD, whose head is text, and `.bin`, which has none.

use super::{Head, Stop};

/// The words that begin a line of a PCD's head.
const WORDS: [&[u8]; 11] = [
    b"VERSION",
    b"FIELDS",
    b"COLUMNS",
    b"SIZE",
    b"TYPE",
    b"COUNT",
    b"WIDTH",
    b"HEIGHT",
    b"VIEWPOINT",
    b"POINTS",
    b"DATA",
];
/// No word is longer.
const WORD_BYTES: usize = 10;

/// The head of a PCD in any spelling that its readers take: comments and empty lines anywhere, CRLF, any case, spaces and tabs,
/// no name in a first comment, `COLUMNS` for `FIELDS` as in version 0.5. Two of its words, one of them `FIELDS`, are enough.
pub(super) fn is_pcd(head: &Head) -> Result<bool, Stop> {
    let mut text = Text { head, at: 0 };
    if head.begins(0, b"\xEF\xBB\xBF")? {
        text.at = 3;
    }
    let (mut has_fields, mut words) = (false, 0);
    for line in 0.. {
        text.skip(|byte| byte.is_ascii_whitespace())?;
        match text.peek()? {
            None => break,
            Some(b'#') => {
                text.skip(|byte| matches!(byte, b'#' | b' ' | b'\t'))?;
                if line == 0 && head.begins(text.at, b".PCD")? {
                    return Ok(true);
                }
            }
            Some(_) => {
                let word = text.word()?;
                if !WORDS.contains(&&word[..]) {
                    break;
                }
                text.skip(|byte| matches!(byte, b' ' | b'\t'))?;
                let has_value = text.peek()?.is_some_and(|byte| !byte.is_ascii_whitespace());
                has_fields |= has_value && matches!(&word[..], b"FIELDS" | b"COLUMNS");
                words += u32::from(has_value);
            }
        }
        if has_fields && words > 1 {
            return Ok(true);
        }
        if text.skip(|byte| byte != b'\n' && (byte >= b' ' || byte == b'\t' || byte == b'\r'))? != Some(b'\n') {
            break; // no text, or the end of it
        }
    }
    Ok(false)
}

/// A reader of a head that is text.
struct Text<'a> {
    head: &'a Head,
    at: u64,
}

impl Text<'_> {
    /// `None`: the file ends here.
    fn peek(&self) -> Result<Option<u8>, Stop> {
        match self.head.bytes(self.at) {
            Ok([byte]) => Ok(Some(byte)),
            Err(Stop::Ended(_)) => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    /// Skips bytes of a kind. Returns the first other one.
    fn skip(&mut self, is: impl Fn(u8) -> bool) -> Result<Option<u8>, Stop> {
        loop {
            let rest = match self.head.rest(self.at) {
                Ok(rest) => rest,
                Err(Stop::Ended(_)) => return Ok(None),
                Err(stop) => return Err(stop),
            };
            let count = rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len());
            self.at += count as u64;
            if let Some(byte) = rest.get(count) {
                return Ok(Some(*byte));
            }
        }
    }

    /// Reads a word, in capitals. One that is too long is cut.
    fn word(&mut self) -> Result<Vec<u8>, Stop> {
        let mut word = Vec::with_capacity(WORD_BYTES);
        while word.len() < WORD_BYTES
            && let Some(byte) = self.peek()?.filter(u8::is_ascii_alphabetic)
        {
            word.push(byte.to_ascii_uppercase());
            self.at += 1;
        }
        Ok(word)
    }
}

/// Metres that a coordinate may have.
const FAR: f32 = 1e5;
/// A number that is nearer to zero, and not zero, is no coordinate: the bytes are something else.
const NEAR: f32 = 1e-9;
/// The largest reflectance, number of a ring, or time.
const MOST: f32 = 65_536.0;

/// Rows of x, y, z, reflectance (KITTI), and the number of the ring (nuScenes), as little-endian floats of 32 bits: nothing but
/// plausible numbers says so. `length`: of the file.
pub(super) fn is_bin(first: &[u8], length: Option<u64>) -> bool {
    [4, 5].into_iter().any(|columns| {
        let row_bytes = 4 * columns;
        let is_whole = length.is_none_or(|length| length % row_bytes as u64 == 0);
        let mut rows = first.chunks_exact(row_bytes).peekable();
        is_whole && rows.peek().is_some() && first.iter().any(|byte| *byte != 0) && rows.all(is_point)
    })
}

fn is_point(row: &[u8]) -> bool {
    row.chunks_exact(4).enumerate().all(|(column, bytes)| {
        let number = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let bounds = if column < 3 { -FAR..=FAR } else { 0.0..=MOST };
        bounds.contains(&number) && (number == 0.0 || number.abs() >= NEAR)
    })
}
