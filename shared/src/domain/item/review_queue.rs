//! The review queue: drafts that wait for a person, and who has which of them (docs/decisions/0039).
//!
//! A claim decides who is handed what, and nothing else. It refuses no verdict: of two verdicts the revision decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::domain::access::api_key::KeyHash;
use crate::domain::item::Item;
use crate::domain::item::result::ResultStatus;
use crate::domain::{Timestamp, limits};

/// The time of a claim: longer than a person takes for twenty items, and short enough that what she leaves is soon another's.
pub const LEASE: Duration = Duration::from_secs(600);

/// The time for which the next call knows what a person has claimed: she may renew her claims for longer than one lease. Then the queue
/// itself leads to them.
pub const REMEMBERED: Duration = Duration::from_secs(3_600);

/// The order in which drafts are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As they were drafted: a job drafts items in the order of their creation.
    #[default]
    Sequence,
    /// The other way round.
    Newest,
    /// In none.
    Random,
    /// Those first whose least confidence is least.
    LeastConfident,
    /// Those first whose least confidence is greatest.
    MostConfident,
}

impl Order {
    /// Every order, by its name on the wire.
    pub const NAMES: [&str; 5] = ["sequence", "newest", "random", "least_confident", "most_confident"];

    /// Whether the greatest [rank](Self::rank) comes first.
    #[must_use]
    pub const fn is_descending(self) -> bool {
        matches!(self, Self::Newest | Self::MostConfident)
    }

    /// Whether drafts are compared that lie far from each other in the queue.
    #[must_use]
    pub const fn reads_ahead(self) -> bool {
        matches!(self, Self::Random | Self::LeastConfident | Self::MostConfident)
    }

    /// Whether it depends on annotations.
    #[must_use]
    pub const fn compares_confidence(self) -> bool {
        matches!(self, Self::LeastConfident | Self::MostConfident)
    }

    /// What a draft is sorted by, different for each. `position` is its position in the queue. A draft without annotations counts as
    /// one without confidence.
    #[must_use]
    pub fn rank(self, seed: u64, position: &str, draft: &Queued) -> String {
        let uid = draft.item.asset.uid;
        match self {
            Self::Sequence | Self::Newest => position.to_owned(),
            Self::Random => format!("{:016x}#{uid}", shuffled(seed, &uid.to_string())),
            Self::LeastConfident | Self::MostConfident => {
                format!("{:.6}#{uid}", draft.least_confidence().unwrap_or_default())
            }
        }
    }
}

/// A number for a name that no one foresees without the seed.
#[must_use]
pub fn shuffled(seed: u64, name: &str) -> u64 {
    let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(name).finalize();
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// A person who reviews, by the key of her requests: one key is one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewer {
    /// Her key.
    pub key: KeyHash,
    /// The key's name.
    pub name: String,
}

/// A person has a draft until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The hash of her key.
    key: String,
    /// The name of her key.
    pub by: String,
    /// The end of the lease.
    pub until: Timestamp,
}

/// A person has given a draft back and does not get it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The hash of her key.
    key: String,
    /// The name of her key.
    pub by: String,
    /// Her words for the next person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What the queue notes with a draft. A verdict removes it in its own write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// When it was written, microseconds of the Unix epoch: later than what it was written over, which is known by it.
    pub written_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
    /// Newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<Skip>,
}

/// An item as the queue knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    /// The item with its result.
    pub item: Item,
    /// `None`: no one has claimed or skipped its draft.
    pub marks: Option<Marks>,
    /// Bytes of its annotations as JSON, about.
    pub json_bytes: usize,
}

impl Queued {
    /// Whether its result waits for a person.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.item.result.as_ref().is_some_and(|result| result.status == ResultStatus::Draft)
    }

    /// The claim whose lease runs.
    #[must_use]
    pub fn claim(&self, now: Timestamp) -> Option<&Claim> {
        self.marks.as_ref()?.claim.as_ref().filter(|claim| claim.until > now)
    }

    /// Whether this person has claimed it and no one else since, also if her lease is over.
    #[must_use]
    pub fn is_claimed_by(&self, reviewer: &Reviewer) -> bool {
        let claim = self.marks.as_ref().and_then(|marks| marks.claim.as_ref());
        claim.is_some_and(|claim| claim.key == reviewer.key.as_str())
    }

    /// Whether this person may be handed it: a draft that she has not skipped and that no one else has.
    #[must_use]
    pub fn is_for(&self, reviewer: &Reviewer, now: Timestamp) -> bool {
        let is_hers = |key: &str| key == reviewer.key.as_str();
        let was_skipped = self.marks.iter().flat_map(|marks| &marks.skips).any(|skip| is_hers(&skip.key));
        self.is_draft() && !was_skipped && self.claim(now).is_none_or(|claim| is_hers(&claim.key))
    }

    /// The marks once this person has claimed it, or has renewed her claim.
    #[must_use]
    pub fn claimed(&self, reviewer: &Reviewer, now: Timestamp) -> Marks {
        let Reviewer { key, name } = reviewer;
        let claim = Claim { key: key.as_str().to_owned(), by: name.clone(), until: now + LEASE };
        Marks { claim: Some(claim), ..self.released(now) }
    }

    /// The marks once its claim is given back.
    #[must_use]
    pub fn released(&self, now: Timestamp) -> Marks {
        let before = self.marks.clone().unwrap_or_default();
        Marks { written_us: now.as_microsecond().max(before.written_us + 1), claim: None, skips: before.skips }
    }

    /// The marks once this person has skipped it. Another person's claim stays.
    #[must_use]
    pub fn skipped(&self, reviewer: &Reviewer, reason: Option<String>, now: Timestamp) -> Marks {
        let Reviewer { key, name } = reviewer;
        let mut marks = self.released(now);
        marks.claim = self.claim(now).filter(|_| !self.is_claimed_by(reviewer)).cloned();
        marks.skips.retain(|skip| skip.key != key.as_str());
        if marks.skips.len() >= limits::SKIPS {
            marks.skips.remove(0);
        }
        marks.skips.push(Skip { key: key.as_str().to_owned(), by: name.clone(), reason, at: now });
        marks
    }

    fn least_confidence(&self) -> Option<f64> {
        let annotations = self.item.result.iter().flat_map(|result| &result.annotations);
        annotations.map(|annotation| annotation.confidence).reduce(f64::min)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::id::{ItemUid, OrganizationUid, ProjectUid};
    use crate::domain::item::result::LabelResult;
    use crate::domain::item::{Asset, AssetType, SizeOrigin, Source};
    use crate::domain::prediction::{Geometry, Prediction};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn a_reviewer(name: &str) -> Reviewer {
        Reviewer { key: KeyHash::of(name), name: name.to_owned() }
    }

    fn a_draft(confidences: &[f64]) -> Queued {
        let project = ProjectUid::at(at(0));
        let source = Source::Bucket("a".into());
        let uid = ItemUid::of(project, "a");
        let asset =
            Asset { uid, kind: AssetType::PointCloud, size: None, origin: SizeOrigin::default(), source, changes: 0 };
        let annotation = |confidence: &f64| Prediction {
            geometry: Geometry::Classification,
            label: "car".into(),
            confidence: *confidence,
            attributes: Default::default(),
        };
        let result = LabelResult {
            status: ResultStatus::Draft,
            ..LabelResult::by_hand(1, confidences.iter().map(annotation).collect(), "bot", at(0))
        };
        let organization = OrganizationUid::named("acme");
        let key = "a".to_owned();
        let item = Item {
            organization,
            project,
            key,
            asset,
            file: None,
            created_at: at(0),
            generation: 1,
            result: Some(result),
        };
        Queued { item, marks: None, json_bytes: 1 }
    }

    fn marked(draft: &Queued, marks: Marks) -> Queued {
        Queued { marks: Some(marks), ..draft.clone() }
    }

    #[test]
    fn a_claimed_draft_is_for_one_person_until_the_lease_is_over() {
        let (ann, bob) = (a_reviewer("ann"), a_reviewer("bob"));
        let draft = a_draft(&[0.5]);
        assert!(draft.is_for(&ann, at(0)) && draft.is_for(&bob, at(0)) && !draft.is_claimed_by(&ann));

        let claimed = marked(&draft, draft.claimed(&ann, at(100)));

        assert_eq!(claimed.claim(at(699)).map(|claim| (claim.by.as_str(), claim.until)), Some(("ann", at(700))));
        assert!(claimed.is_for(&ann, at(699)) && !claimed.is_for(&bob, at(699)));
        assert!(claimed.claim(at(700)).is_none() && claimed.is_for(&bob, at(700)));
        assert!(claimed.is_claimed_by(&ann), "she may renew it while no one else has taken it");
        let taken = marked(&claimed, claimed.claimed(&bob, at(700)));
        assert!(!taken.is_claimed_by(&ann) && !taken.is_for(&ann, at(701)));
    }

    #[test]
    fn what_a_person_gives_back_is_for_all_and_what_she_skips_for_the_others() {
        let (ann, bob) = (a_reviewer("ann"), a_reviewer("bob"));
        let claimed = marked(&a_draft(&[]), a_draft(&[]).claimed(&ann, at(1)));
        let released = marked(&claimed, claimed.released(at(2)));
        assert!(released.is_for(&ann, at(2)) && released.is_for(&bob, at(2)));

        let skipped = marked(&claimed, claimed.skipped(&ann, Some("blurred".into()), at(2)));
        assert!(!skipped.is_for(&ann, at(9_999)) && skipped.is_for(&bob, at(2)));
        let again = marked(&skipped, skipped.skipped(&ann, None, at(3)));
        assert_eq!(again.marks.as_ref().unwrap().skips.len(), 1, "once for each person");

        let bobs = marked(&again, again.claimed(&bob, at(4)));
        let hers = marked(&bobs, bobs.skipped(&ann, None, at(5)));
        assert!(hers.is_claimed_by(&bob), "another person's claim stays");
    }

    #[test]
    fn a_draft_has_the_last_skips_and_each_write_is_later_than_the_one_before() {
        let mut draft = a_draft(&[]);
        for n in 0..=limits::SKIPS {
            let before = draft.marks.as_ref().map_or(0, |marks| marks.written_us);
            draft = marked(&draft, draft.skipped(&a_reviewer(&n.to_string()), None, at(1)));
            assert!(draft.marks.as_ref().unwrap().written_us > before, "also at the same time");
        }

        assert_eq!(draft.marks.as_ref().unwrap().skips.len(), limits::SKIPS);
        assert!(draft.is_for(&a_reviewer("0"), at(1)) && !draft.is_for(&a_reviewer("1"), at(1)));
    }

    #[test]
    fn a_result_that_is_no_draft_is_for_no_one() {
        let mut reviewed = a_draft(&[0.9]);
        for status in [ResultStatus::Accepted, ResultStatus::Rejected] {
            reviewed.item.result.as_mut().unwrap().status = status;
            assert!(!reviewed.is_for(&a_reviewer("ann"), at(0)));
        }
        reviewed.item.result = None;
        assert!(!reviewed.is_for(&a_reviewer("ann"), at(0)));
    }

    #[test]
    fn each_order_has_its_name_and_its_rank() {
        for name in Order::NAMES {
            let order: Order = serde_json::from_value(name.into()).unwrap();
            assert_eq!(serde_json::to_value(order).unwrap(), name);
        }
        let rank = |order: Order, seed, confidences: &[f64]| order.rank(seed, "p", &a_draft(confidences));
        assert_eq!((rank(Order::Sequence, 1, &[]), rank(Order::Newest, 1, &[])), ("p".into(), "p".into()));
        assert_ne!(rank(Order::Random, 1, &[]), rank(Order::Random, 2, &[]));
        for order in [Order::LeastConfident, Order::MostConfident] {
            assert!(rank(order, 1, &[0.9, 0.25]) < rank(order, 1, &[0.3]), "the least of its annotations");
            assert!(rank(order, 1, &[]) < rank(order, 1, &[0.000_01]));
        }
    }

    proptest! {
        #[test]
        fn ranks_of_confidences_sort_as_numbers_do(a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
            let rank = |confidence| Order::LeastConfident.rank(0, "", &a_draft(&[confidence]));
            let (a, b) = ((a * 1e6).round() / 1e6, (b * 1e6).round() / 1e6);
            prop_assert_eq!(a.total_cmp(&b), rank(a).cmp(&rank(b)));
        }
    }

    #[test]
    fn marks_survive_their_row() {
        let draft = a_draft(&[]);
        let marks = draft.skipped(&a_reviewer("ann"), Some("dark".into()), at(2));
        let marks = marked(&draft, marks).claimed(&a_reviewer("bob"), at(3));
        let json = serde_json::to_value(&marks).unwrap();
        assert_eq!(serde_json::from_value::<Marks>(json).unwrap(), marks);
    }
}
