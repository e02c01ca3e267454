//! The outcomes of a test of a provider.

use shared::domain::prediction::size::Size;
use shared::testing::a_mask;

use super::*;

#[tokio::test]
async fn a_test_sends_the_request_of_a_job_and_keeps_how_it_went() {
    let answer = r#"{"found": [{"type": "bounding_box", "label": "person", "confidence": 0.9,
        "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4}}]}"#;
    let world = World::with(TestModel::answering(Answer::Body(answer))).await;
    let mut body = an_http();
    body["is_active"] = false.into();
    let path = world.created(body).await;
    for body in [Value::Null, json!({})] {
        let (status, result) = world.api.call(&format!("POST {path}test/"), body).await;
        assert_eq!(
            (status, &result),
            (
                200,
                &json!({"success": true, "message": "The model answered, with 1 prediction(s).", "problem": null, "path": null,
                    "tested_at": "1970-01-01T00:16:40Z", "latency_ms": result["latency_ms"]})
            )
        );
        assert!(result["latency_ms"].is_u64());
    }
    let asked = world.model.asked.lock().unwrap()[0].clone();
    assert_eq!(
        asked,
        json!({"asset_id": asked["asset_id"], "asset_url": "https://bucket.example/probes/picture.jpg?signed", "asset_type": "image",
            "width": 192, "height": 192, "frame": "upright", "labels": []})
    );
    let (_, provider) = world.api.call(&format!("GET {path}"), Value::Null).await;
    assert_eq!(
        (&provider["last_test_at"], &provider["last_test_success"]),
        (&json!("1970-01-01T00:16:40Z"), &json!(true))
    );
}

#[tokio::test]
async fn a_test_reports_corrections_and_unlikely_coordinates() {
    for (answer, problem, sentence) in [
        (
            r#"{"found": [{"type": "bounding_box", "label": "person", "confidence": 0.9,
                "coordinates": {"x": 0.07, "y": 0.03, "width": 0.93, "height": 0.97}}]}"#,
            json!("unlikely_coordinates"),
            "set coordinates of the provider to \"normalized\".",
        ),
        (
            r#"{"found": [{"type": "bounding_box", "label": "person", "confidence": 0.9,
                "coordinates": {"x": 7, "y": 3, "width": 93, "height": 97}}]}"#,
            json!("unlikely_coordinates"),
            "set coordinates of the provider to \"percent\".",
        ),
        (
            r#"{"found": [{"type": "classification", "label": "person", "confidence": 1.01}]}"#,
            Value::Null,
            "The model answered, with 1 prediction(s). found[0].confidence: 1.01 was read as 1.",
        ),
    ] {
        let world = World::with(TestModel::answering(Answer::Body(answer))).await;
        let path = world.created(an_http()).await;

        let result = world.tested(&path).await;

        assert_eq!((&result["success"], &result["problem"]), (&json!(true), &problem));
        assert!(result["message"].as_str().unwrap().ends_with(sentence), "{result}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_endpoint_is_an_answer_and_not_an_error() {
    for (answer, problem, message) in [
        (Answer::Never, "timeout", "The model did not answer within 18 seconds."),
        (Answer::Refusal, "credentials_refused", "It refuses its credentials."),
        (Answer::BadItem, "model_error", "The model answered status 400."),
        (Answer::Busy, "busy", "The model answered status 503."),
        (Answer::Body("<html>"), "bad_answer", "The model's answer is not JSON (line 1, column 1)."),
        (Answer::Body(r#"{"annotations": []}"#), "bad_answer", "The model's answer has no array \"found\"."),
        (
            Answer::Body(r#"{"found": [{"type": "box"}]}"#),
            "bad_answer",
            "None of the model's predictions is well formed. found[0].label: This field is required.",
        ),
    ] {
        let world = World::with(TestModel::answering(answer)).await;
        let path = world.created(an_http()).await;

        let result = world.tested(&path).await;

        assert_eq!((&result["success"], &result["problem"]), (&json!(false), &json!(problem)));
        assert_eq!(result["latency_ms"], if problem == "timeout" { 18_000 } else { 0 });
        assert!(result["message"].as_str().unwrap().starts_with(message), "{result}");
        let (_, provider) = world.api.call(&format!("GET {path}"), Value::Null).await;
        assert_eq!(provider["last_test_success"], false);
    }

    let world = a_world().await;
    let mut body = a_sagemaker();
    body["config"]["role_arn"] = "arn:aws:iam::123456789012:role/model".into();
    let path = world.created(body).await;
    let refused = world.tested(&path).await;
    assert_eq!(refused["message"], "The role could not be assumed.");
    assert_eq!((&refused["problem"], &refused["latency_ms"]), (&json!("role_not_assumable"), &Value::Null));
}

#[tokio::test]
async fn a_test_names_the_first_part_of_an_answer_that_is_wrong() {
    const GOOD: &str = r#"{"type": "classification", "label": "night", "confidence": 0.9}"#;
    const BAD: &str = r#"{"type": "bounding_box", "label": "car", "confidence": 0.9,
        "coordinates": {"x": 1, "y": 2, "width": "wide", "height": 4}}"#;
    for (parts, success, problem, path) in [
        (vec![GOOD, GOOD], true, Value::Null, Value::Null),
        (vec![GOOD, GOOD, BAD], true, json!("predictions_dropped"), json!("found[2].coordinates.width")),
        (vec![BAD, BAD], false, json!("bad_answer"), json!("found[0].coordinates.width")),
    ] {
        let answer = Box::leak(format!(r#"{{"found": [{}]}}"#, parts.join(",")).into_boxed_str());
        let world = World::with(TestModel::answering(Answer::Body(answer))).await;
        let path_of_provider = world.created(an_http()).await;

        let result = world.tested(&path_of_provider).await;

        assert_eq!((&result["success"], &result["problem"], &result["path"]), (&json!(success), &problem, &path));
        assert!(path.as_str().is_none_or(|path| result["message"].as_str().unwrap().contains(path)), "{result}");
    }
}

/// Contract D29.
#[tokio::test(start_paused = true)]
async fn a_test_fetches_masks_until_one_can_be_used() {
    const GOOD: &str = "https://masks.example/good.png";
    const LARGE: &str = "https://masks.example/large.png";
    const GONE: &str = "https://masks.example/gone.png";
    let mask = |url: &str| json!({"type": "segmentation_mask", "label": "road", "confidence": 0.9, "mask": {"format": "png_url", "url": url}});
    let night = json!({"type": "classification", "label": "night", "confidence": 0.9});
    for (parts, slow, problem, message) in [
        (vec![mask(GOOD), mask(GOOD), mask(GONE)], 0, Value::Null, "with 3 prediction(s)."),
        (vec![mask(GONE), mask(GOOD)], 0, json!("predictions_dropped"), "with 1 prediction(s). A job would drop parts"),
        (vec![mask(GONE), night], 0, json!("predictions_dropped"), "found[0].mask: Could not be fetched."),
        (vec![mask(LARGE)], 0, json!("bad_answer"), "found[0].mask: Has 200 x 100 pixels"),
        (vec![mask(GOOD)], 20, json!("bad_answer"), "found[0].mask: Could not be fetched in time."),
    ] {
        let web = MemoryWeb::of([
            (GOOD, a_mask(Size { width: 192, height: 192 }, 2, 1)),
            (LARGE, a_mask(Size { width: 200, height: 100 }, 2, 1)),
        ]);
        let web = web.slow(Duration::from_secs(slow));
        let answer = Box::leak(json!({ "found": parts }).to_string().into_boxed_str());
        let model = TestModel::answering(Answer::Body(answer));
        let world = World::seeing(web, MemoryTenants::default(), model, PlainSecrets).await;
        let path = world.created(an_http()).await;

        let result = world.tested(&path).await;

        assert_eq!(result["problem"], problem, "{result}");
        assert_eq!(result["success"], problem != "bad_answer");
        assert!(result["message"].as_str().unwrap().contains(message), "{result}");
    }
}
