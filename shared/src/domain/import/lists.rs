//! The lists of a JSON file, read entry by entry: a file of gigabytes takes the memory of one entry.

use std::cell::Cell;
use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::reader::{BOM, Broken, Source, refuse_utf16};
use crate::domain::json::Bounded;
use crate::domain::limits;

/// Takes an entry: the list's name, its position from 0, and its value.
pub(super) type Entries<'a> = dyn FnMut(&'static str, u64, Value) -> Result<(), Broken> + 'a;

/// Reads a file that is an object, and the entries of those of its members that are `lists`. Other members are skipped.
///
/// # Errors
/// [`Broken`]: it is no JSON, or no such object.
pub(super) fn read(file: &mut dyn Source, lists: &[&'static str], take: &mut Entries<'_>) -> Result<(), Broken> {
    read_shape(file, Shape::Object(lists), take)
}

/// Reads a file that is a list, and its entries. The list's name is empty.
///
/// # Errors
/// [`Broken`]: it is no JSON, or no list.
pub(super) fn read_array(file: &mut dyn Source, take: &mut Entries<'_>) -> Result<(), Broken> {
    read_shape(file, Shape::Array, take)
}

/// What the file is.
#[derive(Clone, Copy)]
enum Shape<'a> {
    /// An object with these lists.
    Object(&'a [&'static str]),
    Array,
}

impl Shape<'_> {
    const fn what(self) -> &'static str {
        match self {
            Self::Object(_) => "object",
            Self::Array => "list",
        }
    }
}

fn read_shape(file: &mut dyn Source, shape: Shape<'_>, take: &mut Entries<'_>) -> Result<(), Broken> {
    let mut begin = Vec::new();
    file.take(BOM.len() as u64).read_to_end(&mut begin)?;
    refuse_utf16(&begin)?;
    file.rewind()?;
    let left = Cell::new(limits::IMPORT_ENTRY_BYTES);
    let mut metered = Metered::new(BufReader::with_capacity(256 * 1024, file), &left);
    if begin == BOM {
        metered.read_exact(&mut begin)?;
    }
    let mut json = serde_json::Deserializer::from_reader(metered);
    let mut stopped = None;
    let (left, stops) = (&left, &mut stopped);
    let read = match shape {
        Shape::Object(lists) => Members { lists, left, take, stopped: stops }.deserialize(&mut json),
        Shape::Array => List { name: "", left, take, stopped: stops }.deserialize(&mut json),
    };
    let read = read.and_then(|()| {
        left.set(limits::IMPORT_ENTRY_BYTES);
        json.end()
    });
    match (stopped, read) {
        (Some(broken), _) => Err(broken),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(of_json(error, shape.what(), left.get() == 0)),
    }
}

fn of_json(error: serde_json::Error, what: &str, is_too_large: bool) -> Broken {
    if is_too_large {
        let most = limits::IMPORT_ENTRY_BYTES / (1024 * 1024);
        return Broken::file(format!("An entry of the file has more than {most} MiB."));
    }
    if error.is_io() {
        return Broken::Io(error.into());
    }
    let (line, column) = (error.line(), error.column());
    Broken::file(format!("The file is no JSON {what} of this format: see line {line}, column {column}."))
}

/// A reader that stops when an entry is too large.
pub(super) struct Metered<'a, R> {
    file: R,
    left: &'a Cell<usize>,
}

impl<'a, R: Read> Metered<'a, R> {
    /// `left`: bytes that may be read yet. Who takes an entry sets it again.
    pub(super) const fn new(file: R, left: &'a Cell<usize>) -> Self {
        Self { file, left }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        match self.left.get().checked_sub(read) {
            Some(left) if left > 0 => self.left.set(left),
            _ => {
                self.left.set(0);
                return Err(std::io::Error::other("an entry that is too large"));
            }
        }
        Ok(read)
    }
}

struct Members<'a, 'b> {
    lists: &'a [&'static str],
    left: &'a Cell<usize>,
    take: &'a mut Entries<'b>,
    stopped: &'a mut Option<Broken>,
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { lists, left, take, stopped } = self;
        while let Some(name) = map.next_key::<String>()? {
            left.set(limits::IMPORT_ENTRY_BYTES);
            match lists.iter().find(|list| **list == name) {
                Some(list) => map.next_value_seed(List { name: list, left, take, stopped })?,
                None => map.next_value::<IgnoredAny>().map(|_ignored| ())?,
            }
            left.set(limits::IMPORT_ENTRY_BYTES);
        }
        Ok(())
    }
}

struct List<'a, 'b> {
    name: &'static str,
    left: &'a Cell<usize>,
    take: &'a mut Entries<'b>,
    stopped: &'a mut Option<Broken>,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut position = 0;
        loop {
            let memory = Cell::new(limits::PREDICTION_MEMORY);
            let Some(entry) = list.next_element_seed(Bounded::new(&memory))? else { return Ok(()) };
            if let Err(broken) = (self.take)(self.name, position, entry) {
                *self.stopped = Some(broken);
                return Err(A::Error::custom("stopped"));
            }
            position += 1;
            self.left.set(limits::IMPORT_ENTRY_BYTES);
        }
    }
}
