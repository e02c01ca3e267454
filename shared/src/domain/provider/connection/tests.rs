use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::credentials::*;
use super::*;
use crate::domain::prediction::turn::Exif;

const TOKEN: &str = "hunter2";

fn url(value: Value) -> Result<String, String> {
    value.as_str().filter(|url| url.starts_with("https://")).map(str::to_owned).ok_or("Must be an HTTPS URL.".into())
}

fn read(kind: ProviderType, config: Value) -> Result<(Connection, Credentials), String> {
    let Value::Object(config) = config else { panic!("an object") };
    Connection::read(kind, config, url).map_err(|error| error.to_string())
}

fn http(config: Value) -> Result<(Http, Credentials), String> {
    match read(ProviderType::Http, config)? {
        (Connection::Http(http), credentials) => Ok((http, credentials)),
        (Connection::SageMaker(_), _) => panic!("of the kind that was asked for"),
    }
}

fn sagemaker(config: Value) -> Result<SageMaker, String> {
    match read(ProviderType::SageMaker, config)? {
        (Connection::SageMaker(endpoint), _) => Ok(endpoint),
        (Connection::Http(_), _) => panic!("of the kind that was asked for"),
    }
}

fn credentials(config: Value) -> Credentials {
    let mut config = config;
    config["endpoint_url"] = "https://model.example/".into();
    http(config).unwrap().1
}

fn complaint(result: Result<Credentials, Error>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

/// Contract D25.
#[test]
fn a_model_is_asked_for_the_labels_of_its_own_that_come_to_the_wanted_ones() {
    let labels = |labels: &[&str]| labels.iter().map(ToString::to_string).collect::<Vec<_>>();
    let asked = |map: &[(&str, &str)], wanted: &[&str]| {
        let label_map = map.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        Reading { label_map, ..Reading::default() }.asked(&labels(wanted)).into_owned()
    };
    let map = [("17", "cat"), ("dining table", "desk"), ("table", "desk"), ("desk", "shelf"), ("cup", "cup")];

    for (wanted, own) in [
        (&["car"][..], &["car"][..]),
        (&["car", "cat"], &["car", "cat", "17"]),
        (&["desk"], &["dining table", "table"]),
        (&["cup", "shelf"], &["shelf", "cup", "desk"]),
        (&[], &[]),
    ] {
        assert_eq!(asked(&map, wanted), labels(own));
        assert_eq!(asked(&[], wanted), labels(wanted));
    }
}

/// Contract D16.
#[test]
fn a_config_is_known_by_several_names_and_kept_under_one() {
    let wanted = sagemaker(json!({"endpoint_name": "yolo-v8", "region": "eu-central-1"})).unwrap();
    for config in [
        json!({"endpointName": "yolo-v8", "region": "eu-central-1", "roleArn": null}),
        json!({"endpoint": "yolo-v8", "region": "eu-central-1", "method": "POST"}),
    ] {
        assert_eq!(sagemaker(config).unwrap(), wanted);
    }

    let (wanted, secret) = http(json!({"endpoint_url": "https://model.example/", "auth_type": "bearer",
        "auth_header": TOKEN, "response_key": "predictions"}))
    .unwrap();
    for config in [
        json!({"endpointUrl": "https://model.example/", "authType": "bearer", "authHeader": TOKEN, "responseKey": "predictions"}),
        json!({"url": "https://model.example/", "auth_type": "bearer", "auth_header": "Bearer hunter2",
            "response_key": "predictions", "method": "POST", "headers": {}, "timeout": null}),
    ] {
        let (read, credentials) = http(config).unwrap();
        assert!(read == wanted && credentials == secret);
    }
}

/// Contract D16.
#[test]
fn what_both_kinds_may_say_of_their_model_has_two_spellings_too() {
    let reading = Reading {
        response_format: ResponseFormat::CocoResults,
        label_map: [("17".to_owned(), "cat".to_owned())].into(),
        exif: Exif::Ignored,
        coordinates: Coordinates::Percent,
        request_format: Some(RequestFormat::Huggingface),
        ..Reading::default()
    };
    for sent in [
        json!({"response_format": "coco_results", "label_map": {"17": "cat"}, "max_concurrency": 64.0,
            "exif": "ignored", "coordinates": "percent", "request_format": "huggingface"}),
        json!({"responseFormat": "coco_results", "labelMap": [{"from": "17", "to": " cat"}], "maxConcurrency": 64,
            "exif": "ignored", "coordinates": "percent", "requestFormat": "huggingface"}),
    ] {
        let with = |mut config: Value| {
            config.as_object_mut().unwrap().extend(sent.as_object().unwrap().clone());
            config
        };
        let (endpoint, _) = http(with(json!({"url": "https://a"}))).unwrap();
        assert_eq!((endpoint.reading, endpoint.max_concurrency), (reading.clone(), 64));
        let config = json!({"endpoint_name": "yolo", "region": "us-east-1", "targetVariant": "blue", "inference_component_name": "sam-3",
            "targetModel": "v2/yolo.tar.gz"});
        let endpoint = sagemaker(with(config)).unwrap();
        assert_eq!((&endpoint.reading, endpoint.max_concurrency), (&reading, 64));
        assert_eq!(endpoint.target_variant.as_deref(), Some("blue"));
        assert_eq!(endpoint.inference_component_name.as_deref(), Some("sam-3"));
        assert_eq!(endpoint.target_model.as_deref(), Some("v2/yolo.tar.gz"));
    }
}

#[test]
fn a_stored_config_of_before_reads_and_is_written_as_before() {
    let stored = json!({"endpoint_name": "yolo", "region": "us-east-1", "response_key": "annotations",
        "response_format": "annotations", "max_concurrency": 16});
    let endpoint: SageMaker = serde_json::from_value(stored.clone()).unwrap();

    assert_eq!(endpoint, SageMaker::new("yolo", "us-east-1"));
    assert_eq!(serde_json::to_value(endpoint).unwrap(), stored);
}

#[test]
fn a_model_is_asked_in_the_form_of_its_answers_unless_the_provider_says_otherwise() {
    let form = |request_format, response_format| {
        Reading { request_format, response_format, ..Reading::default() }.request_format()
    };
    let (avala, huggingface) = (RequestFormat::Avala, RequestFormat::Huggingface);

    assert_eq!(form(None, ResponseFormat::Annotations), avala);
    assert_eq!(form(None, ResponseFormat::CocoResults), avala);
    assert_eq!(form(None, ResponseFormat::HuggingfaceObjectDetection), huggingface);
    assert_eq!(form(Some(avala), ResponseFormat::HuggingfaceObjectDetection), avala);
    assert_eq!(form(Some(huggingface), ResponseFormat::Annotations), huggingface);
}

#[test]
fn prompts_go_with_the_labels_that_a_model_is_asked_for() {
    let map = [("dining table", "desk"), ("17", "cat")].map(|(from, to)| (from.to_owned(), to.to_owned()));
    let reading = Reading { label_map: map.into(), ..Reading::default() };
    let prompts = [("desk", "a wooden desk"), ("ve\u{301}lo", "a bicycle")];
    let prompts = prompts.map(|(label, prompt)| (label.to_owned(), prompt.to_owned())).into();
    let asked = ["dining table", "vélo", "17", "car"].map(str::to_owned);

    let pairs: Vec<_> = reading.prompts(&asked, &prompts).iter().map(|p| (p.label, p.prompt)).collect();
    assert_eq!(pairs, [("dining table", "a wooden desk"), ("vélo", "a bicycle")]);
    assert!(reading.prompts(&asked, &Default::default()).is_empty());
}

#[test]
fn what_is_not_sent_has_its_default() {
    let (endpoint, credentials) = http(json!({"endpoint_url": "https://model.example/"})).unwrap();

    assert_eq!(
        (endpoint.auth_type, endpoint.timeout(), endpoint.reading.response_key.as_str()),
        (AuthType::None, Duration::from_secs(30), "annotations")
    );
    assert_eq!((endpoint.reading.response_format, endpoint.max_concurrency), (ResponseFormat::Annotations, 16));
    assert_eq!((credentials.request_headers(), credentials.to_text().unwrap()), (vec![], None));
}

/// Contract D16.
#[test]
fn a_bad_config_names_its_keys_and_repeats_no_value() {
    for (config, complaint) in [
        (json!({"endpoint_name": "yolo"}), "config.region: This field is required."),
        (
            json!({"endpoint_name": "yolo", "region": "eu-central-1", "exif": true}),
            "config.exif: Must be \"applied\" or \"ignored\".",
        ),
        (
            json!({"endpoint_name": "-yolo", "region": "eu-central-1"}),
            "config.endpoint_name: Must consist of letters, digits and inner hyphens.",
        ),
        (
            json!({"endpoint_name": "yolo", "region": "evil.example/"}),
            "config.region: Must be an AWS region, such as eu-central-1.",
        ),
        (
            json!({"endpoint_name": "yolo", "region": "us-gov-west-1", "role_arn": "arn:aws:iam::1:role/x"}),
            "config.role_arn: Must be the ARN of an IAM role.",
        ),
        (
            json!({"endpoint_name": "yolo", "endpoint": "sam", "region": "us-east-1"}),
            "config.endpoint_name: Is sent under two names.",
        ),
        (
            json!({"endpoint_name": "yolo", "region": "us-east-1", "auth_heder": TOKEN}),
            "config.auth_heder: Unknown field. Known: endpoint_name, region, role_arn, target_variant, inference_component_name, target_model, response_format, label_map, coordinates, exif and 3 more.",
        ),
        (json!({"endpoint_name": "yolo", "region": "us-east-1", "method": "PUT"}), "config.method: Must be \"POST\"."),
        (
            json!({"endpoint_name": "yolo", "region": "us-east-1", "target_variant": "blue-", "inference_component_name": 7,
                "response_key": "a"}),
            "config.target_variant: Must consist of letters, digits and inner hyphens.; \
             config.inference_component_name: Must be a string, not a number.; config.response_key: Unknown field. Known: endpoint_name, region, role_arn, target_variant, inference_component_name, target_model, response_format, label_map, coordinates, exif and 3 more.",
        ),
    ] {
        assert_eq!(sagemaker(config).unwrap_err(), complaint);
    }
    for (key, value, complaint) in [
        ("endpoint_url", json!("http://model.example"), "config.endpoint_url: Must be an HTTPS URL."),
        (
            "endpoint_name",
            json!("yolo"),
            "config.endpoint_name: Unknown field. Known: endpoint_url, auth_type, auth_header, headers, timeout, response_key, response_format, label_map, coordinates, exif and 3 more.",
        ),
        ("endpoint", json!("yolo"), "config.endpoint: Unknown field. Did you mean endpoint_url?"),
        (
            "role_arn",
            json!("x"),
            "config.role_arn: Unknown field. Known: endpoint_url, auth_type, auth_header, headers, timeout, response_key, response_format, label_map, coordinates, exif and 3 more.",
        ),
        ("auth_type", json!("basic"), "config.auth_type: Must be \"none\", \"bearer\" or \"header\"."),
        ("auth_type", json!({"none": null}), "config.auth_type: Must be \"none\", \"bearer\" or \"header\"."),
        ("auth_type", json!("bearer"), "config.auth_header: This field is required."),
        ("auth_type", json!("header"), "config.auth_header: This field is required."),
        ("auth_header", json!(TOKEN), "config.auth_header: Is used with auth_type \"bearer\" or \"header\" only."),
        ("timeout", json!(0.5), "config.timeout: Must be a number of seconds from 1 to 120, not 0.5."),
        ("timeout", json!(120.5), "config.timeout: Must be a number of seconds from 1 to 120, not 120.5."),
        ("timeout", json!("30"), "config.timeout: Must be a number of seconds from 1 to 120, not a string."),
        ("timeout", json!(true), "config.timeout: Must be a number of seconds from 1 to 120, not true."),
        ("response_key", json!(""), "config.response_key: May not be blank."),
        ("response_key", json!(7), "config.response_key: Must be a string, not a number."),
        (
            "response_format",
            json!("hunter2"),
            "config.response_format: Must be \"annotations\", \"huggingface_object_detection\", \"coco_results\" or \"torchserve_object_detector\".",
        ),
        ("label_map", json!({"person": 7}), "config.label_map: Of \"person\": Must be a string, not a number."),
        (
            "label_map",
            json!(["hunter2"]),
            "config.label_map: Of entry 0, counted from 0: Must be an object, not a string.",
        ),
        (
            "label_map",
            (0..100).map(|n| (n.to_string(), json!("x".repeat(200)))).collect(),
            "config.label_map: Must have at most 16384 characters in all.",
        ),
        ("request_format", json!("v2"), "config.request_format: Must be \"avala\" or \"huggingface\"."),
        ("coordinates", json!("px"), "config.coordinates: Must be \"pixels\", \"normalized\" or \"percent\"."),
        (
            "target_model",
            json!("a.tar.gz"),
            "config.target_model: Unknown field. Known: endpoint_url, auth_type, auth_header, headers, timeout, response_key, response_format, label_map, coordinates, exif and 3 more.",
        ),
        ("max_concurrency", json!(0), "config.max_concurrency: Must be a whole number from 1 to 1000, not 0."),
        ("max_concurrency", json!(1_001), "config.max_concurrency: Must be a whole number from 1 to 1000, not 1001."),
        ("max_concurrency", json!(1.5), "config.max_concurrency: Must be a whole number from 1 to 1000, not 1.5."),
        (
            "target_variant",
            json!("blue"),
            "config.target_variant: Unknown field. Known: endpoint_url, auth_type, auth_header, headers, timeout, response_key, response_format, label_map, coordinates, exif and 3 more.",
        ),
        ("headers", json!("X-Key: hunter2"), "config.headers: Must be an object, not a string."),
        ("headers", json!({"X-Key: hunter2": "x"}), "config.headers: Every key must be the name of an HTTP header."),
        ("headers", json!({"X-Key": 7}), "config.headers.X-Key: Must be a string, not a number."),
        ("headers", json!({"X-Key": "hun\u{e9}"}), "config.headers.X-Key: Must consist of printable ASCII characters."),
        (
            "headers",
            json!({"X-Key": "hunter2\r\nHost: a"}),
            "config.headers.X-Key: May not contain control characters.",
        ),
        ("headers", json!({"host": "a"}), "config.headers.host: May not be set."),
        ("headers", json!({"Content-Type": "a"}), "config.headers.Content-Type: May not be set."),
        (
            "headers",
            json!({"X-Key": "a", "x-key": "b"}),
            "config.headers.x-key: Is there twice: case and \"_\" make no difference.",
        ),
        (
            "headers",
            (0..21).map(|n| (format!("X-{n}"), "a".into())).collect::<Map<_, _>>().into(),
            "config.headers: Must have at most 20 entries.",
        ),
    ] {
        let mut config = json!({"endpoint_url": "https://model.example/"});
        config[key] = value;
        let error = http(config).map(|_| ()).unwrap_err();
        assert_eq!(error, complaint);
        assert!(!error.contains(TOKEN));
    }
}

/// Contract D15.
#[test]
fn a_role_is_named_by_its_arn() {
    let role = |arn: &str| sagemaker(json!({"endpoint_name": "yolo", "region": "us-east-1", "role_arn": arn}));
    for good in ["arn:aws:iam::123456789012:role/model", "arn:aws-us-gov:iam::123456789012:role/path/model+v=1,x.@-_"] {
        assert_eq!(role(good).unwrap().role_arn.as_deref(), Some(good));
    }
    for bad in [
        "",
        "model",
        "arn:aws:iam::123456789012:user/model",
        "arn:aws:iam::12345678901:role/model",
        "arn:aws:sts::123456789012:role/model",
        "arn:gcp:iam::123456789012:role/model",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/mo del",
        "arn:aws:iam:us-east-1:123456789012:role/model",
    ] {
        assert!(role(bad).is_err(), "{bad}");
    }
}

/// Contract D14.
#[test]
fn a_credential_is_a_token_or_a_line_of_its_own() {
    for (auth_type, auth_header, name, value) in [
        ("bearer", "hunter2", "Authorization", "Bearer hunter2"),
        ("bearer", " bearer  hunter2 ", "Authorization", "Bearer hunter2"),
        ("header", "X-Api-Key:hunter2", "X-Api-Key", "hunter2"),
        ("header", "Authorization: Basic YTpi", "Authorization", "Basic YTpi"),
    ] {
        let config = json!({"auth_type": auth_type, "auth_header": auth_header, "headers": {"X-Model": "v8"}});
        let wanted = vec![(name.to_owned(), value.to_owned()), ("X-Model".to_owned(), "v8".to_owned())];
        assert_eq!(credentials(config).request_headers(), wanted);
    }
    for (auth_type, auth_header, complaint) in [
        ("bearer", "two words", "Must be a token without spaces."),
        ("bearer", "", "May not be blank."),
        ("header", "hunter2", "Must be one line \"Name: value\"."),
        ("header", "X-Key:", "Must be one line \"Name: value\"."),
        ("header", "X Key: hunter2", "Must be one line \"Name: value\"."),
        ("header", "content-length: 7", "Names a header that may not be set."),
    ] {
        let config = json!({"endpoint_url": "https://a", "auth_type": auth_type, "auth_header": auth_header});
        let error = http(config).map(|_| ()).unwrap_err();
        assert_eq!(error, format!("config.auth_header: {complaint}"));
    }
}

/// Contract D17.
#[test]
fn a_mask_stands_for_what_is_stored() {
    let stored =
        credentials(json!({"auth_type": "bearer", "auth_header": TOKEN, "headers": {"X-Key": "a", "x_model": "v8"}}));
    let masked = json!({"auth_type": "bearer", "auth_header": MASK, "headers": {"x-key": MASK, "xModel": MASK}});

    assert!(credentials(masked.clone()).has_masks() && !stored.has_masks());
    assert!(credentials(masked.clone()).completed(&stored).unwrap() == stored);

    let mut partly = masked.clone();
    partly["headers"] = json!({"X-Key": "b"});
    let wanted = credentials(json!({"auth_type": "bearer", "auth_header": TOKEN, "headers": {"X-Key": "b"}}));
    assert!(credentials(partly).completed(&stored).unwrap() == wanted);

    let off = credentials(json!({"auth_header": MASK}));
    assert!(off.completed(&stored).unwrap() == Credentials::default());
}

/// Contract D17.
#[test]
fn a_mask_for_which_nothing_is_stored_is_refused() {
    let stored = credentials(json!({"auth_type": "bearer", "auth_header": TOKEN}));
    for (config, fields) in [
        (json!({"auth_type": "header", "auth_header": MASK}), vec!["config.auth_header"]),
        (json!({"auth_type": "bearer", "auth_header": MASK, "headers": {"X-Key": MASK}}), vec!["config.headers.X-Key"]),
    ] {
        let wanted: Vec<String> = fields.iter().map(|field| format!("{field}: {SEND_AGAIN}")).collect();
        assert_eq!(complaint(credentials(config).completed(&stored)), wanted.join("; "));
    }
    let masked = credentials(json!({"auth_type": "bearer", "auth_header": MASK, "headers": {"X-Key": MASK}}));
    let both = format!("config.auth_header: {SEND_AGAIN}; config.headers.X-Key: {SEND_AGAIN}");
    assert_eq!(complaint(masked.completed(&Credentials::default())), both);
}

#[test]
fn one_header_has_one_source_and_all_fit_into_one_seal() {
    let nothing = Credentials::default();
    let twice = json!({"auth_type": "bearer", "auth_header": TOKEN, "headers": {"authorization": "Basic x"}});
    assert_eq!(
        complaint(credentials(twice).completed(&nothing)),
        "config.headers.authorization: Is set by auth_header."
    );

    let long = "x".repeat(limits::HEADER_CHARS);
    let two = credentials(json!({"headers": {"X-A": long, "X-B": long}}));
    assert_eq!(
        complaint(two.completed(&nothing)),
        "config: auth_header and headers may have 4096 bytes in all, as JSON."
    );
    assert!(credentials(json!({"headers": {"X-A": long}})).completed(&nothing).is_ok());
}

#[test]
fn what_was_sealed_reads_back_and_a_broken_seal_says_nothing_of_it() {
    let whole =
        credentials(json!({"auth_type": "header", "auth_header": "X-Key: hunter2", "headers": {"X-Model": "v8"}}));
    let text = whole.to_text().unwrap().unwrap();

    assert!(Credentials::of_text(&text).unwrap() == whole);
    let error = Credentials::of_text("{\"auth_type\": \"hunter2\"}").map(|_| ()).unwrap_err();
    assert!(!error.chain().contains(TOKEN), "{}", error.chain());
}

proptest! {
    /// I11.
    #[test]
    fn no_complaint_and_nothing_that_is_shown_holds_a_value(
        secret in "S3CRET[a-z0-9:, =/\"\\\\\u{e9}\n]{0,30}", auth_type in "none|bearer|header|basic", name in "X-[a-z]{1,5}|Host|Content-Length",
    ) {
        let config = json!({"endpoint_url": "https://a", "auth_type": auth_type, "auth_header": secret, "headers": {name: secret}});
        match http(config).map_err(|error| error.to_string()) {
            Err(error) => prop_assert!(!error.contains("S3CRET"), "{error}"),
            Ok((endpoint, credentials)) => {
                prop_assert!(!serde_json::to_string(&endpoint).unwrap().contains("S3CRET"));
                let printed = format!("{endpoint:?}");
                prop_assert!(!printed.contains("S3CRET"));
                for (name, value) in credentials.request_headers() {
                    prop_assert!(is_header_name(&name) && !is_reserved(&name));
                    prop_assert!(value.chars().all(|c| c.is_ascii_graphic() || c == ' '));
                }
            }
        }
    }
}
