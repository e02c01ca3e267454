//! DynamoDB in memory: one table, every call with a set latency and no more. Conditions hold, transactions are all or
//! nothing, and what AWS would charge is counted.
//!
//! Left out, since nothing here needs it: several tables, throttling, conflicts of transactions, and their request tokens (no
//! answer is lost).

pub mod expressions;
pub mod units;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::late;
use expressions::{Row, Unknown, holds, updated};

/// How often an operation was called, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Calls.
    pub calls: u64,
    /// Index entries and refused writes included.
    pub write_units: u64,
    /// Of 4 KB.
    pub read_units: f64,
}

/// What the table has seen since the last [`Table::begin`].
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By operation.
    pub costs: BTreeMap<String, Cost>,
    /// When the answer to the first write was ready.
    pub first_write: Option<Instant>,
    /// The same of the last one.
    pub last_write: Option<Instant>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    rows: Mutex<BTreeMap<Key, Row>>,
    seen: Mutex<Seen>,
    latency_us: AtomicU64,
}

type Key = (String, String);

/// A write of one row, as it will be; an empty new row is none.
struct Write {
    key: Key,
    old: Row,
    new: Row,
}

enum Refusal {
    /// The row as it is.
    Condition(Row),
    /// A reason for each action.
    Cancelled(Vec<Value>),
    /// Not ours to answer.
    Unknown(String),
}

impl From<Unknown> for Refusal {
    fn from(Unknown(text): Unknown) -> Self {
        Self::Unknown(text)
    }
}

impl Table {
    /// From now on every call takes so long, and counting starts at zero.
    pub fn begin(&self, latency: Duration) {
        self.latency_us.store(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        *locked(&self.seen) = Seen::default();
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        locked(&self.seen).clone()
    }

    /// Rows whose partition key begins so and which have this attribute.
    #[must_use]
    pub fn count(&self, prefix: &str, attribute: &str) -> usize {
        locked(&self.rows).iter().filter(|((pk, _), row)| pk.starts_with(prefix) && row.contains_key(attribute)).count()
    }

    /// Answers a call of the DynamoDB API.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let Ok(body) = serde_json::from_slice::<Value>(request.body()) else {
            return refused("SerializationException", json!({}));
        };
        late(Duration::from_micros(self.latency_us.load(Ordering::Relaxed))).await;
        match self.carried_out(operation, &body) {
            Ok(answer) => Response::new(answer.to_string().into()),
            Err(Refusal::Condition(row)) => refused("ConditionalCheckFailedException", json!({"Item": row})),
            Err(Refusal::Cancelled(reasons)) => {
                refused("TransactionCanceledException", json!({"CancellationReasons": reasons}))
            }
            Err(Refusal::Unknown(text)) => refused("ValidationException", json!({"message": text})),
        }
    }

    fn carried_out(&self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        match operation {
            "GetItem" => self.get(body),
            "Query" => self.query(body),
            "PutItem" | "UpdateItem" | "DeleteItem" => self.write_one(operation, body),
            "BatchWriteItem" => self.write_batch(body),
            "TransactWriteItems" => self.transact(body),
            other => Err(Refusal::Unknown(format!("operation {other}"))),
        }
    }

    fn charge(&self, operation: &str, write_units: u64, read_units: f64) {
        let mut seen = locked(&self.seen);
        let cost = seen.costs.entry(operation.to_owned()).or_default();
        cost.calls += 1;
        cost.write_units += write_units;
        cost.read_units += read_units;
        if write_units > 0 {
            let now = Instant::now();
            seen.first_write.get_or_insert(now);
            seen.last_write = Some(now);
        }
    }

    fn get(&self, body: &Value) -> Result<Value, Refusal> {
        let row = locked(&self.rows).get(&key(&body["Key"])?).cloned();
        let bytes = row.as_ref().map_or(0, units::size);
        self.charge("GetItem", 0, units::of_read(bytes, body["ConsistentRead"] == true));
        Ok(row.map_or_else(|| json!({}), |row| json!({"Item": projected(row, body)})))
    }

    /// A whole answer, or `Limit` rows of it; the megabyte at which DynamoDB ends a page is not counted.
    fn query(&self, body: &Value) -> Result<Value, Refusal> {
        let condition = body["KeyConditionExpression"].as_str().unwrap_or_default();
        let sort_key = body["IndexName"].as_str().map_or_else(|| "sk".to_owned(), |index| format!("{index}_sk"));
        let mut found: Vec<(String, Row)> = Vec::new();
        // A partition of the table is found by its key, one of an index by going through all rows.
        let partition = body["ExpressionAttributeValues"][":pk"]["S"].as_str().filter(|_| sort_key == "sk");
        let from = (partition.unwrap_or_default().to_owned(), String::new());
        let of_partition = |key: &Key| partition.is_none_or(|partition| key.0 == partition);
        for (_, row) in locked(&self.rows).range(from..).take_while(|(key, _)| of_partition(key)) {
            if holds(condition, body, row)?
                && let Some(position) = row.get(&sort_key).and_then(|value| value["S"].as_str())
            {
                found.push((position.to_owned(), row.clone()));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let ascending = body["ScanIndexForward"] != false;
        if !ascending {
            found.reverse();
        }
        if let Some(after) = body["ExclusiveStartKey"][&sort_key]["S"].as_str() {
            found.retain(|(position, _)| if ascending { position.as_str() > after } else { position.as_str() < after });
        }
        let limit = body["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let bytes = found.iter().map(|(_, row)| units::size(row)).sum();
        self.charge("Query", 0, units::of_read(bytes, body["ConsistentRead"] == true));
        let last = found.last().filter(|_| more).map(|(_, row)| {
            let partition_key = sort_key.replace("_sk", "_pk");
            row.iter()
                .filter(|(name, _)| ["pk", "sk", &partition_key, &sort_key].contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Row>()
        });
        let count = found.len();
        let items: Vec<Row> = found.into_iter().map(|(_, row)| projected(row, body)).collect();
        let mut answer = json!({"Items": items, "Count": count, "ScannedCount": count});
        if let Some(last) = last {
            answer["LastEvaluatedKey"] = Value::Object(last);
        }
        Ok(answer)
    }

    fn write_one(&self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        let mut rows = locked(&self.rows);
        let write = write(&rows, operation, body);
        let units = match &write {
            Ok(write) => units::of_write(&write.old, &write.new, false),
            Err(Refusal::Condition(row)) => units::of_write(row, row, false),
            Err(_) => 0,
        };
        self.charge(operation, units, 0.0);
        apply(&mut rows, [write?]);
        Ok(json!({}))
    }

    fn write_batch(&self, body: &Value) -> Result<Value, Refusal> {
        let mut rows = locked(&self.rows);
        let tables = body["RequestItems"].as_object().into_iter().flat_map(|tables| tables.values());
        let write = |request: &Value| match request.get("PutRequest") {
            Some(put) => write(&rows, "PutItem", put),
            None => write(&rows, "DeleteItem", &request["DeleteRequest"]),
        };
        let writes: Vec<Write> = tables.filter_map(Value::as_array).flatten().map(write).collect::<Result<_, _>>()?;
        let units = writes.iter().map(|write| units::of_write(&write.old, &write.new, false)).sum();
        self.charge("BatchWriteItem", units, 0.0);
        apply(&mut rows, writes);
        Ok(json!({"UnprocessedItems": {}}))
    }

    fn transact(&self, body: &Value) -> Result<Value, Refusal> {
        let mut rows = locked(&self.rows);
        let (mut writes, mut reasons, mut refused) = (Vec::new(), Vec::new(), false);
        for action in body["TransactItems"].as_array().into_iter().flatten() {
            let Some((kind, request)) = action.as_object().and_then(|action| action.iter().next()) else { continue };
            match write(&rows, &format!("{kind}Item"), request) {
                Ok(write) => {
                    writes.push(write);
                    reasons.push(json!({"Code": "None"}));
                }
                Err(Refusal::Condition(row)) => {
                    refused = true;
                    let shown = request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD" && !row.is_empty();
                    let item = if shown { json!(row) } else { Value::Null };
                    reasons.push(json!({"Code": "ConditionalCheckFailed", "Item": item}));
                    writes.push(Write { key: Key::default(), old: row.clone(), new: row });
                }
                Err(other) => return Err(other),
            }
        }
        if refused {
            // Charged as if every row had been written over itself.
            writes.iter_mut().for_each(|write| write.new = write.old.clone());
        }
        let units = writes.iter().map(|write| units::of_write(&write.old, &write.new, true)).sum();
        self.charge("TransactWriteItems", units, 0.0);
        if refused {
            return Err(Refusal::Cancelled(reasons));
        }
        apply(&mut rows, writes);
        Ok(json!({}))
    }
}

/// A mutex is poisoned by a panic that has been reported already.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(name: &str, mut body: Value) -> Response<Bytes> {
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{name}"));
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

fn key(row: &Value) -> Result<Key, Refusal> {
    let part = |name: &str| row[name]["S"].as_str().map(str::to_owned);
    part("pk").zip(part("sk")).ok_or_else(|| Refusal::Unknown("a key without pk and sk".into()))
}

/// `ProjectionExpression`, of top-level names.
fn projected(row: Row, body: &Value) -> Row {
    let Some(wanted) = body["ProjectionExpression"].as_str() else { return row };
    let named = |name| body["ExpressionAttributeNames"].get(name).and_then(Value::as_str).unwrap_or(name);
    let names: Vec<&str> = wanted.split(',').map(|name| named(name.trim())).collect();
    row.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()
}

fn write(rows: &BTreeMap<Key, Row>, operation: &str, request: &Value) -> Result<Write, Refusal> {
    let key = key(request.get("Key").unwrap_or(&request["Item"]))?;
    let old = rows.get(&key).cloned().unwrap_or_default();
    if let Some(condition) = request["ConditionExpression"].as_str()
        && !holds(condition, request, &old)?
    {
        return Err(Refusal::Condition(old));
    }
    let new = match operation {
        "PutItem" => request["Item"].as_object().cloned().unwrap_or_default(),
        "UpdateItem" => {
            let mut row = old.clone();
            row.extend(request["Key"].as_object().cloned().unwrap_or_default());
            updated(request["UpdateExpression"].as_str().unwrap_or_default(), request, &row)?
        }
        "DeleteItem" => Row::new(),
        "ConditionCheckItem" => old.clone(),
        other => return Err(Refusal::Unknown(format!("write {other}"))),
    };
    Ok(Write { key, old, new })
}

fn apply(rows: &mut BTreeMap<Key, Row>, writes: impl IntoIterator<Item = Write>) {
    for Write { key, new, .. } in writes {
        if new.is_empty() {
            rows.remove(&key);
        } else {
            rows.insert(key, new);
        }
    }
}

#[cfg(test)]
mod tests;
