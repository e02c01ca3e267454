//! Label Studio's run lengths of a brush, read: see [`the writer`](crate::domain::export). The fourth value of each pixel, its alpha,
//! says whether it is marked.

use serde_json::Value;

use super::super::picture::{Bitmap, Read, malformed};

/// Values of a pixel.
const CHANNELS: u64 = 4;

struct Bits {
    bytes: Vec<u8>,
    /// Bits that are read.
    at: usize,
}

impl Bits {
    fn read(&mut self, count: u32) -> Option<u64> {
        let mut number = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            number = number << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }
}

/// The mask of a region's `rle`, in the prediction format.
pub(super) fn mask(rle: Option<&Value>, width: u32, height: u32) -> Read<Value> {
    let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes: Option<Vec<u8>> = rle.and_then(Value::as_array).and_then(|list| list.iter().map(byte).collect());
    let Some(bytes) = bytes else { return malformed("\"rle\" of a brush must be a list of bytes.") };
    let mut bitmap = Bitmap::new(width, height)?;
    match decode(&mut Bits { bytes, at: 0 }, &mut bitmap, u64::from(width), u64::from(height)) {
        Some(()) => Ok(bitmap.mask()),
        None => malformed("\"rle\" of a brush is broken, or is not of a picture of this size."),
    }
}

/// `None`: the runs are broken, or are not those of a picture of this size.
fn decode(bits: &mut Bits, bitmap: &mut Bitmap, width: u64, height: u64) -> Option<()> {
    let length = bits.read(32)?;
    if length != width * height * CHANNELS {
        return None;
    }
    let value_bits = bits.read(5)? as u32 + 1;
    let mut forms = [0; 4];
    for form in &mut forms {
        *form = bits.read(4)? as u32 + 1;
    }
    let mut at = 0;
    while at < length {
        let is_run = bits.read(1)? == 1;
        let form = usize::try_from(bits.read(2)?).ok()?;
        let count = bits.read(*forms.get(form)?)? + 1;
        let end = at.checked_add(count).filter(|end| *end <= length)?;
        let mut value = if is_run { bits.read(value_bits)? } else { 0 };
        for position in at..end {
            if !is_run {
                value = bits.read(value_bits)?;
            }
            if value > 0 && position % CHANNELS == CHANNELS - 1 {
                let pixel = position / CHANNELS;
                bitmap.mark(pixel % width, pixel / width);
            }
        }
        at = end;
    }
    Some(())
}
