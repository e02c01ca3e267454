//! Labels that appear the same are the same: text is compared in Unicode's composed form (NFC), and kept as it was written.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The composed form of a text.
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// Whether two texts are the same but for the form that their characters are written in.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one == other || (!(one.is_ascii() && other.is_ascii()) && composed(one) == composed(other))
}

/// The one of many that is the same as a text.
pub fn find<'a>(text: &str, among: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    let text = composed(text);
    among.into_iter().find(|other| **other == text || (!other.is_ascii() && composed(other) == text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_appears_the_same_is_the_same() {
        for (one, other) in
            [("vélo", "ve\u{301}lo"), ("\u{212b}", "A\u{30a}"), ("\u{212a}", "K"), ("\u{1112}\u{1161}", "\u{d558}")]
        {
            assert!(same(one, other) && same(other, one), "{one} {other}");
            let among = [String::from("car"), other.to_owned()];
            assert_eq!(find(one, &among), Some(&among[1]));
        }
        for (one, other) in [("vélo", "velo"), ("car", "Car"), ("ﬁ", "fi"), ("car", "")] {
            assert!(!same(one, other), "{one} {other}");
            assert_eq!(find(one, &[other.to_owned()]), None);
        }
    }
}
