//! The draft of an item, before it is committed: in its row if it is small, else in an object beside the raw predictions.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::prediction::Prediction;
use crate::domain::prediction::label_count::LabelCount;
use crate::domain::{Error, limits, packed};

/// What a job suggests for an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Unless they are elsewhere.
    pub annotations: Vec<Prediction>,
    /// Where they are, if a row would be too dear.
    pub elsewhere: Option<BlobRef>,
    /// How many there are.
    pub count: u32,
    /// How many of each label, most first, at most 200.
    pub labels: Vec<LabelCount>,
}

/// Where annotations are that no row holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// The object.
    pub key: String,
    /// Where in it they begin, bytes.
    pub offset: u64,
    /// How long they are there, bytes.
    pub length: u64,
    /// And as JSON.
    pub json_bytes: u64,
}

/// Annotations as they are written elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed {
    /// A piece of the object.
    pub bytes: Vec<u8>,
    /// Before they were packed.
    pub json_bytes: u64,
}

impl Draft {
    /// A draft of these annotations.
    #[must_use]
    pub fn of(annotations: Vec<Prediction>) -> Self {
        let labels = annotations.iter().map(|annotation| (annotation.label.as_str(), 1));
        Self {
            labels: LabelCount::sum(labels, limits::SUMMARY_LABELS),
            count: u32::try_from(annotations.len()).unwrap_or(u32::MAX),
            elsewhere: None,
            annotations,
        }
    }

    /// Its annotations, if they are too many bytes for its row.
    ///
    /// # Errors
    /// `Internal`.
    pub fn large(&self) -> Result<Option<Packed>, Error> {
        if packed::is_small(&self.annotations, limits::INLINE_BYTES) {
            return Ok(None); // and smaller still when it is packed, for its row
        }
        let packed = Packed::of(&self.annotations)?;
        Ok((packed.bytes.len() > limits::INLINE_BYTES).then_some(packed))
    }

    /// The same, with its annotations elsewhere.
    #[must_use]
    pub fn moved(self, blob: BlobRef) -> Self {
        Self { annotations: Vec::new(), elsewhere: Some(blob), ..self }
    }
}

impl Packed {
    /// # Errors
    /// `Internal`.
    pub fn of(annotations: &[Prediction]) -> Result<Self, Error> {
        let (bytes, json_bytes) = packed::pack(&annotations)?;
        Ok(Self { bytes, json_bytes })
    }

    /// They as an object of their own in a folder. Its name is the digest of its bytes.
    #[must_use]
    pub fn as_object_in(&self, folder: &str) -> BlobRef {
        let digest = hex::encode(Sha256::digest(&self.bytes));
        let length = self.bytes.len() as u64;
        BlobRef { key: format!("{folder}/{digest}"), offset: 0, length, json_bytes: self.json_bytes }
    }

    /// Whether the API could ever show them: more does not fit into one of its answers.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.json_bytes <= limits::DRAFT_JSON_BYTES
    }
}

impl BlobRef {
    /// The annotations, from the bytes at this blob.
    ///
    /// # Errors
    /// `Internal` if they are others.
    pub fn read(&self, bytes: &[u8]) -> Result<Vec<Prediction>, Error> {
        packed::unpack(bytes, self.json_bytes).map(|(annotations, _)| annotations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::prediction::rle;
    use crate::domain::prediction::{Geometry, Mask};

    fn a_mask(runs: u64) -> Prediction {
        // Runs that do not repeat, as the edges of real things.
        let counts = rle::encode((0..runs).map(|n| n * n * 7_919 % 1_009));
        let geometry = Geometry::SegmentationMask { mask: Mask::CocoRle { size: [1_000, 1_000], counts } };
        Prediction { geometry, label: "road".into(), confidence: 0.9, attributes: Default::default() }
    }

    #[test]
    fn a_small_draft_stays_in_its_row_and_a_large_one_reads_back_from_elsewhere() {
        assert_eq!(Draft::of(vec![a_mask(10)]).large().unwrap(), None);

        let draft = Draft::of(vec![a_mask(3_000), a_mask(2_000)]);
        let packed = draft.large().unwrap().unwrap();
        let length = packed.bytes.len() as u64;
        let blob = BlobRef { key: "k".into(), offset: 7, length, json_bytes: packed.json_bytes };
        assert_eq!(blob.read(&packed.bytes).unwrap(), draft.annotations);

        let moved = draft.moved(blob.clone());
        assert_eq!((moved.annotations.len(), moved.elsewhere.as_ref()), (0, Some(&blob)));
        assert_eq!((moved.count, moved.labels), (2, vec![LabelCount { label: "road".into(), count: 2 }]));
    }

    #[test]
    fn bytes_that_unpack_to_more_than_expected_are_refused() {
        let draft = Draft::of(vec![a_mask(3_000)]);
        let packed = draft.large().unwrap().unwrap();
        let length = packed.bytes.len() as u64;
        let lying = BlobRef { key: "k".into(), offset: 0, length, json_bytes: packed.json_bytes - 1 };

        assert!(lying.read(&packed.bytes).is_err());
    }
}
