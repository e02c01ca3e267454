//! Made-up answers of models: whatever comes, reading it ends well and within its memory.
//!
//! Answers of the conformance table are bent, cut, repeated and mixed, and now and then blown up to the largest that is read.
//! A short run is part of the tests; `make fuzz-answers MINUTES=10` is a long one. What once failed is tried first, from
//! `shared/tests/answers.seeds`.

#![expect(clippy::unwrap_used, reason = "all of it is a test")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use serde_json::Value;
use shared::domain::limits;
use shared::domain::prediction::draft::{BlobRef, Draft};
use shared::domain::prediction::rle;
use shared::domain::prediction::size::Size;
use shared::domain::prediction::{Geometry, Mask, Rect};
use shared::domain::provider::connection::{Coordinates, Reading, ResponseFormat};
use shared::domain::reply::{Decoded, decode};

const TABLE: &str = include_str!("../../tests/conformance/predictions.jsonl");
/// Of a test run without `MINUTES`.
const CASES: u32 = 1_500;
/// An answer's bytes: more are not read (`shared::inference`).
const LARGEST: usize = 6 * 1024 * 1024;
/// Memory that an answer may take, with reading it and keeping what it says.
const MEMORY: u64 = 64 * 1024 * 1024;

const WORDS: [&str; 23] = [
    "NaN",
    "Infinity",
    "-0",
    "1e308",
    "-1e308",
    "1e-320",
    "1e999",
    "18446744073709551616",
    "9007199254740993",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\"o\"",
    "\"\\ud800\"",
    "\\udfff",
    "1e3",
    "1.05",
    "{\"\":0}",
    "[[]]",
    "\u{feff}",
    "\u{0}",
];

/// A change of an answer's text.
#[derive(Clone, Debug)]
enum Change {
    /// One byte becomes another.
    Byte(Index, u8),
    /// What follows is gone.
    Cut(Index),
    /// A word of JSON, or nearly so, replaces some bytes.
    Word(Index, usize, usize),
    /// Some bytes come several times.
    Repeat(Index, usize, usize),
    /// A piece of another answer comes in.
    Mix(Index, Index, usize),
}

#[derive(Clone, Debug)]
struct Case {
    seed: Index,
    changes: Vec<Change>,
    format: usize,
    coordinates: usize,
    size: Option<(u32, u32)>,
    /// A part is repeated until the answer is as long as answers get.
    blown_up: bool,
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        at().prop_map(Change::Cut),
        (at(), 0..WORDS.len(), 0usize..12).prop_map(|(at, word, over)| Change::Word(at, word, over)),
        (at(), 1usize..200, 1usize..30).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (at(), at(), 1usize..200).prop_map(|(at, from, length)| Change::Mix(at, from, length)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let side = || prop_oneof![3 => Just(100u32), 2 => Just(50), 1 => 1u32..=1_000_000];
    let size = prop::option::weighted(0.9, prop_oneof![4 => Just((100u32, 50u32)), 1 => (side(), side())]);
    let blown_up = prop::bool::weighted(0.01);
    (any::<Index>(), prop::collection::vec(change(), 0..5), 0usize..4, 0usize..3, size, blown_up).prop_map(
        |(seed, changes, format, coordinates, size, blown_up)| Case {
            seed,
            changes,
            format,
            coordinates,
            size,
            blown_up,
        },
    )
}

impl Case {
    fn answer(&self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut answer = self.seed.get(seeds).clone();
        for change in &self.changes {
            if answer.is_empty() {
                break;
            }
            match change {
                Change::Byte(at, byte) => *at.get_mut(&mut answer[..]) = *byte,
                Change::Cut(at) => answer.truncate(at.index(answer.len())),
                Change::Word(at, word, over) => {
                    let at = at.index(answer.len());
                    let end = (at + over).min(answer.len());
                    answer.splice(at..end, WORDS[*word].bytes());
                }
                Change::Repeat(at, length, times) => {
                    let at = at.index(answer.len());
                    let piece = answer[at..(at + length).min(answer.len())].repeat(*times);
                    answer.splice(at..at, piece);
                }
                Change::Mix(at, from, length) => {
                    let (at, other) = (at.index(answer.len()), from.get(seeds));
                    let from = from.index(other.len().max(1));
                    let piece = other[from.min(other.len())..(from + length).min(other.len())].to_vec();
                    answer.splice(at..at, piece);
                }
            }
        }
        if self.blown_up { blown_up(&answer) } else { answer }
    }

    fn reading(&self) -> Reading {
        let formats = [
            ResponseFormat::Annotations,
            ResponseFormat::HuggingfaceObjectDetection,
            ResponseFormat::CocoResults,
            ResponseFormat::TorchserveObjectDetector,
        ];
        let units = [Coordinates::Pixels, Coordinates::Normalized, Coordinates::Percent];
        Reading {
            coordinates: units[self.coordinates],
            response_format: formats[self.format],
            label_map: [("3".to_owned(), "car".to_owned())].into(),
            ..Reading::default()
        }
    }
}

/// With its first prediction, or else its beginning, as often as there is room for.
fn blown_up(answer: &[u8]) -> Vec<u8> {
    let opened = answer.iter().position(|byte| *byte == b'[').map_or(0, |at| at + 1);
    let inner = answer.len().saturating_sub(2).max(opened);
    let mut piece = answer[opened..inner].to_vec();
    piece.push(b',');
    let times = (LARGEST - answer.len().min(LARGEST)) / piece.len();
    [&answer[..opened], &piece.repeat(times), &answer[opened..]].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let lines = TABLE.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|case| case["text"].as_str().map_or_else(|| case["answer"].to_string(), str::to_owned).into_bytes())
        .collect()
}

/// What holds of whatever was read.
fn is_sound(decoded: &Decoded, size: Option<Size>) {
    assert!(decoded.predictions.len() + decoded.pictures.len() <= limits::PREDICTIONS);
    assert!(decoded.dropped.len() <= 2 * limits::SUMMARY_ERRORS + 2);
    assert!(decoded.dropped.iter().all(|note| note.len() < 1_000), "{:?}", decoded.dropped);
    let remarks = decoded.remarks(size);
    assert!(remarks.len() <= 3 && remarks.iter().all(|(_, sentence)| sentence.chars().count() < 400), "{remarks:?}");
    for prediction in &decoded.predictions {
        assert!((0.0..=1.0).contains(&prediction.confidence));
        assert!(!prediction.label.is_empty() && prediction.label.chars().count() <= limits::LABEL_CHARS);
        let inside = |[x, y]: [f64; 2]| {
            size.is_some_and(|s| (0.0..=s.width.into()).contains(&x) && (0.0..=s.height.into()).contains(&y))
        };
        match &prediction.geometry {
            Geometry::BoundingBox { coordinates: Rect { x, y, width, height } } => {
                assert!(*width > 0.0 && *height > 0.0 && inside([*x, *y]) && width.is_finite() && height.is_finite());
            }
            Geometry::Polygon { points } => assert!(points.len() >= 3 && points.iter().copied().all(inside)),
            Geometry::Polyline { points } => assert!(points.len() >= 2 && points.iter().copied().all(inside)),
            Geometry::SegmentationMask { mask: Mask::CocoRle { size: [height, width], counts } } => {
                assert_eq!(size, Some(Size { width: *width, height: *height }));
                assert_eq!(rle::check(rle::runs(counts), u64::from(*height) * u64::from(*width)), Ok(()));
            }
            Geometry::Classification => {}
            Geometry::BoundingBox3d { coordinates } => {
                let r = coordinates.rotation;
                let norm = r.x.hypot(r.y).hypot(r.z).hypot(r.w);
                assert!((norm - 1.0).abs() < 1e-9, "{norm}");
                assert!(coordinates.dimensions.length > 0.0 && coordinates.center.x.is_finite());
            }
        }
    }
}

/// Reads the answer, and keeps what it says as a worker does.
fn work(answer: &[u8], reading: &Reading, size: Option<Size>) {
    match decode(answer, reading, size) {
        Err(bad) => assert!(bad.to_string().len() < 1_000),
        Ok(decoded) => {
            is_sound(&decoded, size);
            let draft = Draft::of(decoded.predictions);
            if let Some(packed) = draft.large().unwrap() {
                let length = packed.bytes.len() as u64;
                let blob = BlobRef { key: String::new(), offset: 0, length, json_bytes: packed.json_bytes };
                assert_eq!(blob.read(&packed.bytes).unwrap().len(), draft.annotations.len());
            }
        }
    }
}

/// Bytes that this process holds now, and held at most since [`forget_peak`].
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    (bytes("VmRSS:"), bytes("VmHWM:"))
}

fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[test]
fn whatever_a_model_answers_is_read_without_panic_and_within_its_memory() {
    let minutes: Option<f64> = std::env::var("MINUTES").ok().map(|minutes| minutes.parse().unwrap());
    let end = minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(60.0 * minutes));
    let (begun, seeds) = (Instant::now(), seeds());
    let (idle, _) = memory();
    let (mut cases, mut most) = (0u64, 0u64);
    loop {
        let seeds_file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/answers.seeds");
        let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(seeds_file)) as _);
        let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence, ..Config::default() });
        let taken = std::cell::Cell::new((0u64, 0u64));
        let result = runner.run(&case(), |case| {
            let (answer, size) = (case.answer(&seeds), case.size.map(|(width, height)| Size { width, height }));
            forget_peak();
            work(&answer, &case.reading(), size);
            let (_, peak) = memory();
            let (cases, most) = taken.get();
            // From the beginning of all: what the allocator keeps of earlier answers counts too.
            let grown = peak.saturating_sub(idle);
            taken.set((cases + 1, most.max(grown)));
            prop_assert!(grown <= MEMORY, "{grown} bytes for an answer of {}", answer.len());
            Ok(())
        });
        assert!(result.is_ok(), "{}", result.unwrap_err());
        let (more, grown) = taken.get();
        (cases, most) = (cases + more, most.max(grown));
        if end.is_none_or(|end| Instant::now() >= end) {
            break;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{cases} answers in {seconds:.0} s, {:.0} a second; at most {} KiB for one",
        cases as f64 / seconds,
        most / 1024
    );
}
