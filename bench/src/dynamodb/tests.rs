use super::*;

async fn call(table: &Table, operation: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::builder().header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let response = table.answer(request.body(body.to_string().into()).unwrap()).await;
    (response.status(), serde_json::from_slice(response.body()).unwrap())
}

fn key(n: u32) -> Value {
    json!({"pk": {"S": format!("ITEM#{n}")}, "sk": {"S": "ITEM"}})
}

fn draft(n: u32) -> Value {
    json!({"Update": {
        "Key": key(n),
        "UpdateExpression": "SET #result = :result",
        "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(#result)",
        "ExpressionAttributeNames": {"#result": "result"},
        "ExpressionAttributeValues": {":result": {"S": "draft"}},
    }})
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing_and_names_the_action_that_was_refused() {
    let table = Table::default();
    for n in [1, 2] {
        assert_eq!(call(&table, "PutItem", json!({"Item": key(n)})).await.0, StatusCode::OK);
    }

    let (status, answer) = call(&table, "TransactWriteItems", json!({"TransactItems": [draft(1), draft(3)]})).await;

    let codes: Vec<&str> = answer["CancellationReasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["Code"].as_str().unwrap())
        .collect();
    assert_eq!((status, codes), (StatusCode::BAD_REQUEST, vec!["None", "ConditionalCheckFailed"]));
    assert_eq!(table.count("ITEM#", "result"), 0);
    let (status, _) = call(&table, "TransactWriteItems", json!({"TransactItems": [draft(1), draft(2)]})).await;
    assert_eq!((status, table.count("ITEM#", "result")), (StatusCode::OK, 2));
    // Refused or not, two rows at double price.
    let seen = table.seen();
    assert_eq!((seen.costs["TransactWriteItems"].calls, seen.costs["TransactWriteItems"].write_units), (2, 8));
}

#[tokio::test]
async fn a_query_pages_through_an_index_in_the_order_of_its_sort_key() {
    let table = Table::default();
    for n in [3, 1, 2] {
        let mut item = key(n);
        item["unlabeled_pk"] = json!({"S": "p"});
        item["unlabeled_sk"] = json!({"S": n.to_string()});
        call(&table, "PutItem", json!({"Item": item})).await;
    }
    let mut query = json!({
        "IndexName": "unlabeled", "Limit": 2,
        "KeyConditionExpression": "unlabeled_pk = :shard",
        "ExpressionAttributeValues": {":shard": {"S": "p"}},
    });

    let (_, first) = call(&table, "Query", query.clone()).await;
    query["ExclusiveStartKey"] = first["LastEvaluatedKey"].clone();
    let (_, second) = call(&table, "Query", query).await;

    let positions = |answer: &Value| -> Vec<String> {
        let items = answer["Items"].as_array().unwrap();
        items.iter().map(|item| item["unlabeled_sk"]["S"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((positions(&first), positions(&second)), (vec!["1".into(), "2".into()], vec!["3".into()]));
    assert!(second.get("LastEvaluatedKey").is_none());
}

#[tokio::test]
async fn what_it_does_not_know_is_an_error() {
    let table = Table::default();
    assert_eq!(call(&table, "Scan", json!({})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(call(&table, "GetItem", json!({"Key": {"pk": {"S": "a"}}})).await.0, StatusCode::BAD_REQUEST);
}
