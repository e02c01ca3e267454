//! Values from outside, as sentences show them: in quotation marks, on one line, short.

use std::time::Duration;

use serde_json::Value;

/// Characters of a value that a sentence shows.
const VALUE_CHARS: usize = 60;
/// Names that a list in a sentence has.
const NAMES: usize = 10;

/// Text on one line of at most `most` characters: blanks instead of what controls a terminal or turns the direction of text.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    let is_blank = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
    let mut line = String::new();
    let mut left = most;
    for word in text.split(is_blank).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
            left -= 1;
        }
        let fits = word.char_indices().nth(left).map(|(end, _)| &word[..end]);
        line.push_str(fits.unwrap_or(word));
        left -= fits.unwrap_or(word).chars().count();
        if fits.is_some() || left == 0 {
            break;
        }
    }
    line
}

/// Characters without a picture that change how others appear (Unicode, 23.2).
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text in quotation marks. One that is longer than a sentence shows ends in three dots.
#[must_use]
pub fn quoted(text: &str) -> String {
    let whole = line(text, usize::MAX);
    let shown = line(&whole, VALUE_CHARS);
    if shown.len() == whole.len() { format!("\"{shown}\"") } else { format!("\"{shown}…\"") }
}

/// A value of a request. Of a list or an object it names the kind alone.
#[must_use]
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        _ => number(value),
    }
}

/// A number and a truth value as they are; of a string, which may be a secret in the wrong field, the kind.
#[must_use]
pub fn number(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => kind(value).to_owned(),
    }
}

/// The kind of a value, for values that may be secret.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Names in quotation marks: the first ten, and how many more there are.
#[must_use]
pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    list(names, quoted)
}

/// The same without quotation marks, for words of this system and of a model.
#[must_use]
pub fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    list(words, |word| line(word, VALUE_CHARS))
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>, shown: impl Fn(&str) -> String) -> String {
    let mut names = names.into_iter();
    let mut list = names.by_ref().take(NAMES).map(shown).collect::<Vec<_>>().join(", ");
    let more = names.count();
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    list
}

/// A time in seconds.
#[must_use]
pub fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!("{seconds} second{}", if seconds == 1.0 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_one_short_line_in_quotation_marks() {
        assert_eq!(quoted("dog"), "\"dog\"");
        assert_eq!(quoted(" a\n\tb\u{1b}[31m\u{202e}c\u{2028}d "), "\"a b [31m c d\"");
        assert_eq!(quoted(&"é".repeat(60)), format!("\"{}\"", "é".repeat(60)));
        assert_eq!(quoted(&"é".repeat(61)), format!("\"{}…\"", "é".repeat(60)));
        assert_eq!(quoted(""), "\"\"");
    }

    #[test]
    fn a_list_and_an_object_are_shown_by_their_kind() {
        for (given, shown) in [
            (json!(1.5), "1.5"),
            (json!("gpt"), "\"gpt\""),
            (json!(true), "true"),
            (json!(["secret"]), "a list"),
            (json!({"a": "secret"}), "an object"),
        ] {
            assert_eq!(value(&given), shown);
        }
        assert_eq!((number(&json!("hunter2")), number(&json!(3))), ("a string".into(), "3".into()));
    }

    #[test]
    fn ten_names_are_listed_and_the_others_counted() {
        let many: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        let list = |count: usize| names(many.iter().take(count).map(String::as_str));

        assert_eq!(list(0), "");
        assert_eq!(list(2), "\"0\", \"1\"");
        assert!(list(10).ends_with("\"8\", \"9\""));
        assert!(list(12).ends_with("\"8\", \"9\" and 2 more"));
        assert_eq!(words(["a", "b\n"]), "a, b");
    }

    #[test]
    fn one_second_is_singular() {
        let shown = |ms| seconds(Duration::from_millis(ms));
        assert_eq!(
            (shown(1_000), shown(30_000), shown(2_500)),
            ("1 second".into(), "30 seconds".into(), "2.5 seconds".into())
        );
    }

    proptest! {
        #[test]
        fn a_line_has_no_control_characters_and_is_no_longer_than_asked(text in "\\PC*|(.|\n|\u{7}){0,40}", most in 0usize..50) {
            let line = line(&text, most);
            prop_assert!(line.chars().count() <= most);
            prop_assert!(!line.chars().any(|c| c.is_control() || is_invisible(c)));
        }
    }
}
