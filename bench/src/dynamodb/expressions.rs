//! The expressions of DynamoDB, as far as the functions and the peers use them: conditions and updates of top-level attributes.

use serde_json::{Map, Value, json};

/// Attributes by name, each as `{"S": "…"}` and the like.
pub type Row = Map<String, Value>;

/// An expression that is not understood. The text says where.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

type Result<T> = std::result::Result<T, Unknown>;

/// An expression with what its placeholders stand for, and how far it is read.
struct Expression<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    /// The request: `ExpressionAttributeNames` and `ExpressionAttributeValues`.
    request: &'a Value,
}

/// Whether a row (empty if there is none) meets the condition.
///
/// # Errors
/// The condition is not understood.
pub fn holds(condition: &str, request: &Value, row: &Row) -> Result<bool> {
    let mut expression = Expression::of(condition, request);
    let holds = expression.any(row)?;
    expression.end()?;
    Ok(holds)
}

/// The row as the update leaves it.
///
/// # Errors
/// The update is not understood.
pub fn updated(update: &str, request: &Value, row: &Row) -> Result<Row> {
    let mut expression = Expression::of(update, request);
    let mut new = row.clone();
    while let Some(clause) = expression.next() {
        loop {
            let name = expression.name()?;
            match clause {
                "SET" => {
                    expression.expect("=")?;
                    let value = expression.sum(row)?;
                    new.insert(name, value);
                }
                "ADD" => {
                    let (old, added) = (row.get(&name).cloned().unwrap_or_else(zero), expression.operand(row)?);
                    new.insert(name, plus(&old, added.as_ref(), 1)?);
                }
                "REMOVE" => {
                    new.remove(&name);
                }
                other => return Err(Unknown(format!("clause {other}"))),
            }
            if !expression.take(",") {
                break;
            }
        }
    }
    Ok(new)
}

fn zero() -> Value {
    json!({"N": "0"})
}

fn plus(left: &Value, right: Option<&Value>, sign: i64) -> Result<Value> {
    let number = |value: &Value| value.get("N")?.as_str()?.parse::<i64>().ok();
    let sum = number(left).zip(right.and_then(number)).map(|(left, right)| left + sign * right);
    Ok(json!({"N": sum.ok_or_else(|| Unknown("a sum of other things than whole numbers".into()))?.to_string()}))
}

impl<'a> Expression<'a> {
    fn of(text: &'a str, request: &'a Value) -> Self {
        let mut tokens = Vec::new();
        for word in text.split_whitespace() {
            let mut rest = word;
            while let Some(position) = rest.find(['(', ')', ',']) {
                let (before, sign) = rest.split_at(position);
                tokens.extend(Some(before).filter(|before| !before.is_empty()));
                tokens.push(&sign[..1]);
                rest = &sign[1..];
            }
            tokens.extend(Some(rest).filter(|rest| !rest.is_empty()));
        }
        Self { tokens, at: 0, request }
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(taken);
        taken
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.unknown(token)) }
    }

    fn unknown(&self, wanted: &str) -> Unknown {
        Unknown(format!("{wanted} expected, not {:?}, in: {}", self.tokens.get(self.at), self.tokens.join(" ")))
    }

    fn end(&self) -> Result<()> {
        if self.at == self.tokens.len() { Ok(()) } else { Err(self.unknown("the end")) }
    }

    fn any(&mut self, row: &Row) -> Result<bool> {
        let mut holds = self.all(row)?;
        while self.take("OR") {
            holds |= self.all(row)?;
        }
        Ok(holds)
    }

    fn all(&mut self, row: &Row) -> Result<bool> {
        let mut holds = self.not(row)?;
        while self.take("AND") {
            holds &= self.not(row)?;
        }
        Ok(holds)
    }

    fn not(&mut self, row: &Row) -> Result<bool> {
        if self.take("NOT") { Ok(!self.not(row)?) } else { self.term(row) }
    }

    fn term(&mut self, row: &Row) -> Result<bool> {
        if self.take("(") {
            let holds = self.any(row)?;
            return self.expect(")").map(|()| holds);
        }
        for (function, wanted) in [("attribute_exists", true), ("attribute_not_exists", false)] {
            if self.take(function) {
                self.expect("(")?;
                let name = self.name()?;
                return self.expect(")").map(|()| row.contains_key(&name) == wanted);
            }
        }
        if self.take("begins_with") {
            self.expect("(")?;
            let text = self.operand(row)?;
            self.expect(",")?;
            let prefix = self.operand(row)?;
            self.expect(")")?;
            return Ok(string(text.as_ref()).zip(string(prefix.as_ref())).is_some_and(|(t, p)| t.starts_with(p)));
        }
        let left = self.operand(row)?;
        if self.take("IN") {
            self.expect("(")?;
            let mut among = false;
            loop {
                among |= left.is_some() && self.operand(row)? == left;
                if !self.take(",") {
                    return self.expect(")").map(|()| among);
                }
            }
        }
        if self.take("BETWEEN") {
            let from = self.operand(row)?;
            self.expect("AND")?;
            let to = self.operand(row)?;
            let left = string(left.as_ref());
            return Ok(left.is_some() && string(from.as_ref()) <= left && left <= string(to.as_ref()));
        }
        let sign = self.next().unwrap_or_default();
        let right = self.operand(row)?;
        match sign {
            "=" => Ok(left.is_some() && left == right),
            "<>" => Ok(left != right),
            ">" => Ok(left.is_some() && string(left.as_ref()) > string(right.as_ref())),
            other => Err(Unknown(format!("comparison {other}"))),
        }
    }

    fn sum(&mut self, row: &Row) -> Result<Value> {
        let mut sum = self.operand(row)?.ok_or_else(|| Unknown("an attribute that is not there".into()))?;
        loop {
            let sign = if self.take("+") {
                1
            } else if self.take("-") {
                -1
            } else {
                return Ok(sum);
            };
            sum = plus(&sum, self.operand(row)?.as_ref(), sign)?;
        }
    }

    /// A placeholder's value, an attribute, or the one or the other.
    fn operand(&mut self, row: &Row) -> Result<Option<Value>> {
        if self.take("if_not_exists") {
            self.expect("(")?;
            let there = self.operand(row)?;
            self.expect(",")?;
            let otherwise = self.operand(row)?;
            return self.expect(")").map(|()| there.or(otherwise));
        }
        match self.tokens.get(self.at) {
            Some(placeholder) if placeholder.starts_with(':') => {
                self.at += 1;
                let value = self.request["ExpressionAttributeValues"].get(placeholder).cloned();
                value.map(Some).ok_or_else(|| Unknown(format!("no value for {placeholder}")))
            }
            _ => Ok(row.get(&self.name()?).cloned()),
        }
    }

    fn name(&mut self) -> Result<String> {
        let token = self.next().ok_or_else(|| Unknown("the end, where a name should be".into()))?;
        let name = match token.strip_prefix('#') {
            Some(_) => self.request["ExpressionAttributeNames"].get(token).and_then(Value::as_str).unwrap_or(token),
            None => token,
        };
        if name.contains(['#', '.', '[', '(', ')', ',', ':']) {
            return Err(Unknown(format!("name {name}")));
        }
        Ok(name.to_owned())
    }
}

fn string(value: Option<&Value>) -> Option<&str> {
    value?.get("S")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        json!({"pk": {"S": "JOB#1"}, "status": {"S": "running"}, "n": {"N": "4"}}).as_object().unwrap().clone()
    }

    fn request() -> Value {
        json!({
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":a": {"S": "running"}, ":b": {"S": "cancelled"}, ":one": {"N": "1"}, ":p": {"S": "JOB#"}},
        })
    }

    #[test]
    fn conditions_mean_what_they_mean_in_dynamodb() {
        for (condition, expected) in [
            ("attribute_not_exists(pk)", false),
            ("attribute_exists(pk) AND attribute_not_exists(#status)", false),
            ("#status IN (:b, :a) AND attribute_not_exists(closing)", true),
            ("NOT #status IN (:b)", true),
            ("attribute_not_exists(pk) OR #status = :a", true),
            ("(#status = :b OR n = :one) AND pk = :p", false),
            ("begins_with(pk, :p)", true),
            ("missing = :a", false),
            ("missing <> :a", true),
        ] {
            assert_eq!(holds(condition, &request(), &row()), Ok(expected), "{condition}");
        }
    }

    #[test]
    fn updates_set_add_and_remove() {
        let update =
            "SET #status = :b, m = if_not_exists(m, :one) + :one, n = n - :one ADD k :one, l :one REMOVE pk, other";
        let new = updated(update, &request(), &row()).unwrap();

        let expected =
            json!({"status": {"S": "cancelled"}, "m": {"N": "2"}, "n": {"N": "3"}, "k": {"N": "1"}, "l": {"N": "1"}});
        assert_eq!(Value::Object(new), expected);
    }

    #[test]
    fn what_is_not_understood_is_refused_and_never_true() {
        for wrong in
            ["size(pk) > :one", "pk", "pk = :none", "pk = :a AND", "a.b = :a", "pk = :a pk", "contains(pk, :a)"]
        {
            assert!(holds(wrong, &request(), &row()).is_err(), "{wrong}");
        }
        assert!(updated("SET a = list_append(a, :a)", &request(), &row()).is_err());
        assert!(updated("DELETE a :a", &request(), &row()).is_err());
    }
}
