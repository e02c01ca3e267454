//! COCO run-length encoding: the string form of a mask's runs (contract, D29).
//!
//! A mask is a list of run lengths, column by column, that alternate and begin with background. In the string,
//! a run is five bits per character, lowest first, offset 48; bit 6 says that more follow, and the highest bit
//! of the last five is the sign. From the fourth run on, what is written is the difference from the run two
//! before: neighbouring columns are alike, so differences are short.
//!
//! Runs are read one at a time and never collected: a string may say more than memory holds.

/// Why runs are no mask of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRuns {
    /// Not between `0` and `o`.
    #[error("Has a character that is not part of the encoding.")]
    Character,
    /// The last character says that more follow.
    #[error("Ends in the middle of a number.")]
    Truncated,
    /// Far more than any picture has pixels.
    #[error("Has a number that is too large.")]
    TooLarge,
    /// A run shorter than nothing, or not whole.
    #[error("Has a run that is not a whole number of pixels.")]
    NotACount,
    /// The sum is not height × width.
    #[error("The runs do not add up to the size of the picture.")]
    Sum,
    /// Nothing is marked.
    #[error("Marks no pixel.")]
    Empty,
}

/// A number has at most this many bits in the string; the largest picture needs 41 with its sign.
const BITS: u32 = 60;

/// The runs of COCO's compressed string. Stop at the first error: what follows it means nothing.
pub fn runs(counts: &str) -> impl Iterator<Item = Result<u64, BadRuns>> {
    let mut characters = counts.bytes();
    let mut read = 0usize;
    // The run before, and the one before that.
    let (mut last, mut second_last) = (0i64, 0i64);
    std::iter::from_fn(move || {
        let first = characters.next()?;
        let number = number(first, &mut characters);
        Some(number.and_then(|number| {
            let base = if read > 2 { second_last } else { 0 };
            let run = number.checked_add(base).ok_or(BadRuns::TooLarge)?;
            (read, second_last, last) = (read + 1, last, run);
            u64::try_from(run).map_err(|_| BadRuns::NotACount)
        }))
    })
}

fn number(first: u8, rest: &mut impl Iterator<Item = u8>) -> Result<i64, BadRuns> {
    let (mut number, mut bits, mut character) = (0i64, 0, first);
    loop {
        let six = character.checked_sub(48).filter(|six| *six < 64).ok_or(BadRuns::Character)?;
        number |= i64::from(six & 0x1f) << bits;
        bits += 5;
        if six & 0x20 == 0 {
            return Ok(if six & 0x10 == 0 { number } else { number | (-1 << bits) });
        }
        if bits == BITS {
            return Err(BadRuns::TooLarge);
        }
        character = rest.next().ok_or(BadRuns::Truncated)?;
    }
}

/// COCO's compressed string of runs. Runs that [`check`] lets pass are read back as they are.
pub fn encode(runs: impl IntoIterator<Item = u64>) -> String {
    let mut counts = String::new();
    let (mut last, mut second_last) = (0i64, 0i64);
    for (index, run) in runs.into_iter().enumerate() {
        let run = run.cast_signed();
        let mut number = if index > 2 { run.wrapping_sub(second_last) } else { run };
        (second_last, last) = (last, run);
        loop {
            let five = (number & 0x1f) as u8;
            number >>= 5;
            // Done when what is left is nothing but copies of the sign.
            let done = number == if five & 0x10 == 0 { 0 } else { -1 };
            counts.push(char::from(48 + if done { five } else { five | 0x20 }));
            if done {
                break;
            }
        }
    }
    counts
}

/// Whether runs are a mask of `pixels` pixels, at least one of them marked.
///
/// # Errors
/// The first [`BadRuns`] there is; reading stops as soon as there are more runs than pixels.
pub fn check(runs: impl IntoIterator<Item = Result<u64, BadRuns>>, pixels: u64) -> Result<(), BadRuns> {
    let (mut sum, mut marked) = (0u64, false);
    for (index, run) in runs.into_iter().enumerate() {
        let run = run?;
        sum = sum.checked_add(run).filter(|sum| *sum <= pixels).ok_or(BadRuns::Sum)?;
        marked |= index % 2 == 1 && run > 0;
    }
    match sum == pixels {
        false => Err(BadRuns::Sum),
        true if !marked => Err(BadRuns::Empty),
        true => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(counts: &str) -> Result<Vec<u64>, BadRuns> {
        runs(counts).collect()
    }

    /// Contract D29.
    #[test]
    fn strings_are_those_of_pycocotools() {
        // Made with pycocotools 2.0: mask.encode() of a mask with these runs.
        for (runs, counts) in [
            (&[4, 1, 4][..], "414"),
            (&[0, 4], "04"),
            (&[5, 3, 1, 2, 3, 6, 4], "531O241"),
            (&[0, 1, 9_999], "01_h9"),
            (&[16, 15, 17, 31, 33, 1, 500, 387], "`0?a0`0`0ROc>R<"),
            (&[31, 32, 33, 1_024, 99_998_880], "o0P1Q1Po0oSg[o2"),
            (&[540_000, 100, 980, 100, 980, 300, 1_531_140], "P[_`0T3dn000X6`Yf^1"),
        ] {
            assert_eq!(encode(runs.iter().copied()), counts);
            assert_eq!(read(counts).unwrap(), runs);
        }
    }

    /// Contract D29.
    #[test]
    fn a_table_of_pycocotools_reads_and_writes_alike() {
        // Made by tests/conformance/masks.py.
        let table = include_str!("../../../../tests/conformance/masks.jsonl");
        for line in table.lines() {
            let mask: serde_json::Value = serde_json::from_str(line).unwrap();
            let runs: Vec<u64> = serde_json::from_value(mask["runs"].clone()).unwrap();
            let counts = mask["counts"].as_str().unwrap();
            let [height, width]: [u64; 2] = serde_json::from_value(mask["size"].clone()).unwrap();

            assert_eq!(read(counts).as_ref(), Ok(&runs));
            assert_eq!(encode(runs.iter().copied()), counts);
            assert_eq!(check(super::runs(counts), height * width), Ok(()));
        }
        assert!(table.lines().count() >= 50);
    }

    #[test]
    fn broken_strings_are_refused() {
        for (counts, error) in [
            ("4/4", BadRuns::Character),
            ("4p", BadRuns::Character),
            ("4é", BadRuns::Character),
            ("4P", BadRuns::Truncated),
            ("PPPPPPPPPPPP0", BadRuns::TooLarge),
            ("O", BadRuns::NotACount),
            ("111N", BadRuns::NotACount),
        ] {
            assert_eq!(read(counts).unwrap_err(), error, "{counts}");
        }
        // Each number fits, their sum outgrows the type.
        let climbing = format!("00{}", "ooooooooooo?".repeat(50));
        assert_eq!(read(&climbing).unwrap_err(), BadRuns::TooLarge);
    }

    #[test]
    fn runs_are_a_mask_if_they_fill_the_picture_and_mark_something() {
        for (runs, verdict) in [
            (&[4, 1, 4][..], Ok(())),
            (&[0, 9], Ok(())),
            (&[4, 1, 3], Err(BadRuns::Sum)),
            (&[4, 1, 5], Err(BadRuns::Sum)),
            (&[1, u64::MAX], Err(BadRuns::Sum)),
            (&[], Err(BadRuns::Sum)),
            (&[9], Err(BadRuns::Empty)),
            (&[4, 0, 5], Err(BadRuns::Empty)),
        ] {
            assert_eq!(check(runs.iter().copied().map(Ok), 9), verdict, "{runs:?}");
        }
        assert_eq!(check(runs("4/"), 9), Err(BadRuns::Character));
        assert_eq!(check([], 0), Err(BadRuns::Empty));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(runs in prop::collection::vec(0u64..=1_000_000_000_000, 0..50)) {
            prop_assert_eq!(read(&encode(runs.iter().copied())).unwrap(), runs);
        }

        #[test]
        fn any_text_is_read_without_panic(counts in ".*", coded in "[0-o]*") {
            for counts in [counts, coded] {
                let _ = check(runs(&counts), 1_000_000);
                if let Ok(runs) = read(&counts) {
                    prop_assert_eq!(read(&encode(runs.iter().copied())).unwrap(), runs);
                }
            }
        }
    }
}
