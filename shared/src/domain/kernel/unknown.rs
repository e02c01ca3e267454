//! Refuses names that the API does not read: a mistyped field would otherwise pass in silence (contract, 1.3).

use std::iter;

use super::error::FieldError;
use super::show;

/// A field of a body.
pub const FIELD: &str = "field";
/// A parameter of a query.
pub const PARAMETER: &str = "parameter";

/// Complaints about one object or query. Each names a field, so that a body of nothing else has a short answer.
pub const MOST: usize = 10;
/// Characters of an unknown name that are read and repeated.
const CHARS: usize = 64;
/// From this similarity on (0 to 1), a known name is suggested: one wrong letter in four.
const NEAR: f64 = 0.7;

/// The complaint about a name that is none of `known`. `kind` is [`FIELD`] or [`PARAMETER`]; `path` leads to the name, as in
/// `config.`.
#[must_use]
pub fn complaint(kind: &str, path: &str, name: &str, known: &[&str]) -> FieldError {
    let name = shown(name);
    let hint = match nearest(&name, known) {
        Some(near) => format!("Did you mean {near}?"),
        None if known.is_empty() => "None is known here.".into(),
        None => format!("Known: {}.", show::words(known.iter().copied())),
    };
    FieldError::new(format!("{path}{name}"), format!("Unknown {kind}. {hint}"))
}

/// The name as it is repeated: short, and one line.
#[must_use]
pub fn shown(name: &str) -> String {
    let shown = show::line(name, CHARS);
    if shown.is_empty() { "\"\"".into() } else { shown }
}

/// The known name that is like this one: as a whole, else in its last words (`threshold` of `confidence_threshold`) or its first.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let similarity = |part: &str| strsim::normalized_damerau_levenshtein(&name, part);
    let best = |likeness: &dyn Fn(&str) -> f64| {
        let near = known.iter().map(|known| (*known, likeness(known))).filter(|(_, likeness)| *likeness >= NEAR);
        near.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(known, _)| known)
    };
    best(&similarity).or_else(|| best(&|known| ends(known).map(similarity).fold(0.0, f64::max)))
}

/// The first and the last words of a name, without the whole.
fn ends(name: &str) -> impl Iterator<Item = &str> {
    let mut at = name.match_indices('_').map(|(position, _)| position);
    iter::from_fn(move || at.next()).flat_map(|position| [&name[..position], &name[position + 1..]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OF_A_JOB: [&str; 6] =
        ["model_type", "confidence_threshold", "label_thresholds", "labels", "dry_run", "provider_id"];

    #[test]
    fn the_nearest_known_name_is_suggested() {
        for (name, near) in [
            ("treshold", "confidence_threshold"),
            ("threshold", "confidence_threshold"),
            ("confidenceThreshold", "confidence_threshold"),
            ("confidence", "confidence_threshold"),
            ("label", "labels"),
            ("lables", "labels"),
            ("dryRun", "dry_run"),
            ("dry-run", "dry_run"),
            ("provider", "provider_id"),
            ("model", "model_type"),
            ("Model_Type", "model_type"),
        ] {
            let complaint = complaint(FIELD, "", name, &OF_A_JOB);
            assert_eq!(
                (complaint.field.as_str(), complaint.message),
                (name, format!("Unknown field. Did you mean {near}?"))
            );
        }
    }

    #[test]
    fn without_one_the_first_ten_are_listed() {
        let message = |name, known: &[&str]| complaint(PARAMETER, "a.", name, known).message;

        assert_eq!(message("iou", &["cursor", "limit"]), "Unknown parameter. Known: cursor, limit.");
        assert_eq!(message("iou", &[]), "Unknown parameter. None is known here.");
        let many = ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj", "kk", "ll"];
        assert_eq!(
            message("iou", &many),
            "Unknown parameter. Known: aa, bb, cc, dd, ee, ff, gg, hh, ii, jj and 2 more."
        );
    }

    proptest! {
        #[test]
        fn no_name_makes_a_long_or_broken_complaint(name in "(?s).{0,300}") {
            let complaint = complaint(FIELD, "config.", &name, &OF_A_JOB);

            prop_assert!(complaint.field.chars().count() <= "config.".len() + CHARS);
            let is_broken = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}');
            prop_assert!(!complaint.field.contains(is_broken));
            prop_assert!(complaint.field != "config.");
            prop_assert!(complaint.message.starts_with("Unknown field. "));
        }
    }
}
