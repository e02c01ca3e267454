//! Boxes of records in one file on the function's own disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use shared::domain::import::reader::{BOXES, Shelf};

/// Bytes of a box that are collected before they are written: all boxes together take 8 MiB.
const BUFFER: usize = 8 * 1024;

/// A part of a box on the disk.
struct Block {
    offset: u64,
    length: usize,
}

/// Boxes of records. Each record has its length before it.
pub(crate) struct DiskShelf {
    file: File,
    end: u64,
    blocks: Vec<Vec<Block>>,
    buffers: Vec<Vec<u8>>,
}

impl DiskShelf {
    /// Empty boxes. The file has no name, so nothing of it is left when this is dropped.
    pub(crate) fn new() -> io::Result<Self> {
        let boxes = || (0..BOXES).map(|_| Vec::new()).collect();
        Ok(Self {
            file: tempfile::tempfile()?,
            end: 0,
            blocks: (0..BOXES).map(|_| Vec::new()).collect(),
            buffers: boxes(),
        })
    }

    fn write(&mut self, number: usize) -> io::Result<()> {
        let buffer = &mut self.buffers[number];
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(buffer)?;
        self.blocks[number].push(Block { offset: self.end, length: buffer.len() });
        self.end += buffer.len() as u64;
        buffer.clear();
        // A record may be megabytes, and there are many boxes.
        buffer.shrink_to(BUFFER);
        Ok(())
    }
}

impl Shelf for DiskShelf {
    fn put(&mut self, number: usize, record: &[u8]) -> io::Result<()> {
        let buffer = &mut self.buffers[number];
        buffer.extend_from_slice(&(record.len() as u64).to_le_bytes());
        buffer.extend_from_slice(record);
        if buffer.len() >= BUFFER { self.write(number) } else { Ok(()) }
    }

    fn take(&mut self, number: usize) -> io::Result<Vec<Vec<u8>>> {
        let mut bytes = Vec::new();
        for Block { offset, length } in std::mem::take(&mut self.blocks[number]) {
            self.file.seek(SeekFrom::Start(offset))?;
            (&self.file).take(length as u64).read_to_end(&mut bytes)?;
        }
        bytes.append(&mut self.buffers[number]);
        let (mut records, mut rest) = (Vec::new(), bytes.as_slice());
        while let Some((length, behind)) = rest.split_first_chunk() {
            let length = usize::try_from(u64::from_le_bytes(*length)).map_err(io::Error::other)?;
            let (record, behind) = behind.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
            records.push(record.to_vec());
            rest = behind;
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_has_its_records_in_their_order_however_large_they_are() {
        let mut shelf = DiskShelf::new().unwrap();
        let record = |number: usize| vec![number as u8; (number * 997) % (3 * BUFFER)];
        for number in 0..500 {
            shelf.put(number % 7, &record(number)).unwrap();
        }

        for of in 0..7 {
            let expected: Vec<Vec<u8>> = (0..500).filter(|number| number % 7 == of).map(record).collect();
            assert_eq!(shelf.take(of).unwrap(), expected);
            assert!(shelf.take(of).unwrap().is_empty());
        }
        assert!(shelf.take(BOXES - 1).unwrap().is_empty());
    }
}
