//! The description is made of the code's own comments. They cite what a reader of the API does not have: sections of the
//! contract, decisions, invariants. Here these citations end.

use serde_json::Value;

/// Removes the citations from every description and summary.
pub(crate) fn remove(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        for (name, field) in fields {
            match field {
                Value::String(text) if name == "description" || name == "summary" => *text = without(text),
                _ => remove(field),
            }
        }
    }
    value.as_array_mut().into_iter().flatten().for_each(remove);
}

/// The text without what stands in parentheses and is a citation, nor the blank before it.
fn without(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside, after)) = parenthesis(rest) {
        kept.push_str(if is_citation(inside) { before.trim_end() } else { &rest[..rest.len() - after.len()] });
        rest = after;
    }
    kept + rest
}

/// The text before the first parentheses, in them, and after them.
fn parenthesis(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('(')?;
    let (inside, after) = rest.split_once(')')?;
    Some((before, inside, after))
}

/// `contract, 8.3`, `decision 0013`, `docs/decisions/0015`, `I11`, `D6, D9`.
pub(crate) fn is_citation(text: &str) -> bool {
    let is_numbered = |name: &str| {
        let digits = name.strip_prefix(['I', 'D']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let cites = |word: &str| text.strip_prefix(word).is_some_and(|rest| rest.starts_with([',', ' ', '/', 's']));
    ["contract", "decision", "docs"].into_iter().any(cites) || text.split(", ").all(is_numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_ends_and_other_parentheses_stay() {
        let cases = [
            ("The job object (contract, 6.1).", "The job object."),
            ("Shown (I11), and kept (decision 0003) here.", "Shown, and kept here."),
            ("A mask (D6, D9)", "A mask"),
            ("Of both (`avala` or `huggingface`): x.", "Of both (`avala` or `huggingface`): x."),
            ("An open ( stays.", "An open ( stays."),
        ];
        for (written, shown) in cases {
            assert_eq!(without(written), shown);
        }
    }
}
