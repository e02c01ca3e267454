//! What DynamoDB charges, by its rules ("DynamoDB item sizes and formats", "Read and write capacity mode").

use serde_json::Value;

use super::expressions::Row;

/// The indexes of the table (`infra/lib/constructs/table.ts`): their keys, and what else an entry has.
const INDEXES: [(&str, &str, Option<&str>); 3] = [
    ("listing_pk", "listing_sk", None),
    ("unlabeled_pk", "unlabeled_sk", Some("item")),
    ("active_pk", "active_sk", None),
];
/// Bytes of one write unit.
const WRITE: usize = 1_024;
/// Bytes of one read unit.
const READ: usize = 4_096;

/// Bytes of a row.
#[must_use]
pub fn size(row: &Row) -> usize {
    row.iter().map(|(name, value)| name.len() + of_value(value)).sum()
}

fn of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|map| map.iter().next()) else { return 0 };
    let text = value.as_str().unwrap_or_default();
    match kind.as_str() {
        "S" => text.len(),
        "N" => text.trim_start_matches('-').len().div_ceil(2) + 1,
        "B" => text.trim_end_matches('=').len() * 3 / 4,
        "M" => 3 + value.as_object().map_or(0, |map| size(map) + map.len()),
        "L" => 3 + value.as_array().map_or(0, |list| list.iter().map(|value| 1 + of_value(value)).sum()),
        _ => 1,
    }
}

/// Write units of a change, index entries included. In a transaction the row costs double, its entries do not.
#[must_use]
pub fn of_write(old: &Row, new: &Row, in_transaction: bool) -> u64 {
    let row = blocks(size(old).max(size(new)), WRITE) * if in_transaction { 2 } else { 1 };
    row + INDEXES.iter().map(|index| of_entry(&entry(old, *index), &entry(new, *index))).sum::<u64>()
}

/// Read units of so many bytes.
#[must_use]
pub fn of_read(bytes: usize, consistent: bool) -> f64 {
    blocks(bytes, READ) as f64 * if consistent { 1.0 } else { 0.5 }
}

fn blocks(bytes: usize, block: usize) -> u64 {
    bytes.div_ceil(block).max(1) as u64
}

/// What an index has of a row, its keys first; nothing unless the row has both.
fn entry(row: &Row, (pk, sk, more): (&str, &str, Option<&str>)) -> Option<(Row, Row)> {
    let part = |names: &[&str]| -> Row {
        names.iter().filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone()))).collect()
    };
    let keys = part(&[pk, sk]);
    (keys.len() == 2).then(|| (keys, part(&["pk", "sk", more.unwrap_or("pk")])))
}

fn of_entry(old: &Option<(Row, Row)>, new: &Option<(Row, Row)>) -> u64 {
    let cost = |entry: &(Row, Row)| blocks(size(&entry.0) + size(&entry.1), WRITE);
    match (old, new) {
        (Some(old), Some(new)) if old == new => 0,
        (Some(old), Some(new)) if old.0 == new.0 => cost(old).max(cost(new)),
        // An entry under another key is another entry.
        (old, new) => old.as_ref().map_or(0, cost) + new.as_ref().map_or(0, cost),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: Value) -> Row {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_draft_costs_two_units_and_one_for_leaving_the_index() {
        let item = json!({"pk": {"S": "ITEM#1"}, "sk": {"S": "ITEM"}, "unlabeled_pk": {"S": "a"}, "unlabeled_sk": {"S": "b"}, "item": {"S": "c"}});
        let old = row(item);
        let mut new = old.clone();
        new.remove("unlabeled_pk");
        new.insert("result".into(), json!({"M": {"packed": {"B": "A".repeat(400)}}}));

        assert_eq!(of_write(&old, &new, true), 3);
        assert_eq!(of_write(&old, &new, false), 2);
        assert_eq!(of_write(&new, &new, true), 2);
    }

    #[test]
    fn sizes_are_those_of_the_documentation() {
        assert_eq!(size(&row(json!({"ab": {"S": "xyz"}}))), 5);
        assert_eq!(size(&row(json!({"a": {"N": "-1234"}}))), 4);
        assert_eq!(size(&row(json!({"a": {"B": "AAAA"}, "b": {"BOOL": true}}))), 6);
        assert_eq!(size(&row(json!({"a": {"M": {"b": {"S": "c"}}}, "d": {"L": [{"S": "e"}]}}))), 7 + 6);
        assert_eq!((of_read(4_097, true), of_read(1, false)), (2.0, 0.5));
    }
}
