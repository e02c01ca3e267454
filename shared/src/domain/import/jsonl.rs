//! The format `jsonl`: lines as an export writes them. Of a line, the members are read that say what the item is and what its labels
//! are. A line that cannot be read costs its item and not the file.

use std::io::{BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};

use super::reader::{BOM, Broken, Entry, Position, ReasonCode, Source, Take, refuse_utf16};
use crate::domain::{fields, json, limits};

/// Reads a line into its entry; the line's number.
pub(super) type ReadLine = fn(u64, &[u8]) -> Entry;

/// Reads the file.
///
/// # Errors
/// [`Broken`].
pub fn read(file: &mut dyn Source, take: &mut Take<'_>) -> Result<(), Broken> {
    read_lines(file, entry, take)
}

/// Reads a file of lines, plain or compressed by gzip.
///
/// # Errors
/// [`Broken`].
pub(super) fn read_lines(file: &mut dyn Source, entry: ReadLine, take: &mut Take<'_>) -> Result<(), Broken> {
    let mut begin = [0; 2];
    let known = read_begin(file, &mut begin)?;
    file.rewind()?;
    if begin[..known] == [0x1f, 0x8b] {
        lines(BufReader::new(MultiGzDecoder::new(BufReader::new(file))), entry, take)
    } else {
        lines(BufReader::new(file), entry, take)
    }
}

fn read_begin(file: &mut dyn Source, begin: &mut [u8]) -> Result<usize, Broken> {
    let mut known = 0;
    while known < begin.len() {
        match file.read(&mut begin[known..])? {
            0 => break,
            read => known += read,
        }
    }
    Ok(known)
}

fn lines(mut file: impl BufRead, entry: ReadLine, take: &mut Take<'_>) -> Result<(), Broken> {
    let (mut line, mut number, mut all) = (Vec::new(), 0, 0u64);
    loop {
        line.clear();
        let read = file.by_ref().take(limits::IMPORT_ENTRY_BYTES as u64 + 1).read_until(b'\n', &mut line);
        match read.map_err(unreadable)? {
            0 => return Ok(()),
            read => all += read as u64,
        }
        number += 1;
        if number == 1 {
            refuse_utf16(&line)?;
        }
        if all > limits::IMPORT_TEXT_BYTES {
            return Err(Broken::file("The file has too many bytes when it is unpacked."));
        }
        if line.len() > limits::IMPORT_ENTRY_BYTES {
            all += skip_line(&mut file)?;
            let most = limits::IMPORT_ENTRY_BYTES / (1024 * 1024);
            let message = format!("The line has more than {most} MiB.");
            take(Entry::refused(Position::Line(number), String::new(), ReasonCode::TooLarge, message))?;
            continue;
        }
        let text = if number == 1 { line.strip_prefix(BOM).unwrap_or(&line) } else { &line };
        if !text.trim_ascii().is_empty() {
            take(entry(number, text.trim_ascii()))?;
        }
    }
}

/// What a broken compressed file answers. Other errors are the disk's.
fn unreadable(error: std::io::Error) -> Broken {
    match error.kind() {
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput | std::io::ErrorKind::UnexpectedEof => {
            Broken::file("The file is compressed by gzip and is broken, or ends too early.")
        }
        _ => Broken::Io(error),
    }
}

/// Skips the rest of a line, and returns its length.
fn skip_line(file: &mut impl BufRead) -> Result<u64, Broken> {
    let mut skipped = 0;
    loop {
        let buffer = file.fill_buf().map_err(unreadable)?;
        let (length, is_end) = match memchr::memchr(b'\n', buffer) {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        file.consume(length);
        skipped += length as u64;
        if is_end || skipped > limits::IMPORT_TEXT_BYTES {
            return Ok(skipped);
        }
    }
}

fn entry(number: u64, line: &[u8]) -> Entry {
    let refused = |name: String, code, message: &str| Entry::refused(Position::Line(number), name, code, message);
    let malformed = |name: String, message: &str| refused(name, ReasonCode::Malformed, message);
    let mut members = match json::parse(line, limits::CORRECTION_MEMORY) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return malformed(String::new(), "The line is no JSON object."),
        Err(error) => return malformed(String::new(), &format!("The line is not JSON (column {}).", error.column())),
    };
    let Some(Value::String(name)) = members.remove("key") else {
        return malformed(String::new(), "\"key\" must be a string.");
    };
    if let Some("rejected" | "none") = members.get("status").and_then(Value::as_str) {
        return refused(name, ReasonCode::NoResult, "The line says that the item has no result.");
    }
    let Some(Value::Array(annotations)) = members.remove("annotations") else {
        return malformed(name, "\"annotations\" must be a list.");
    };
    let asset_type = text(&mut members, "asset_type");
    let (width, height) = (side(&members, "width"), side(&members, "height"));
    let url = text(&mut members, "url");
    Entry { url, width, height, asset_type, annotations, ..Entry::new(Position::Line(number), name) }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Pixels; `None` if it is no whole number: the item's own size counts.
pub(super) fn side(members: &Map<String, Value>, name: &str) -> Option<u32> {
    let side = fields::whole_number(members.get(name)?)?;
    u32::try_from(side).ok().filter(|side| (1..=limits::PIXELS_PER_SIDE).contains(side))
}
