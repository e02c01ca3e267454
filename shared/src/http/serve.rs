//! The way from the gateway's event to the routes.

use axum::Router;
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::tower::ServiceExt;
use lambda_http::{Adapter, Error};
use url::Url;

/// Serves an API function until Lambda ends it.
///
/// # Errors
/// If the runtime cannot be reached.
pub async fn serve(api: Router) -> Result<(), Error> {
    lambda_runtime::run(Adapter::from(api).map_request(readable)).await
}

/// The event with a path and a query that are valid in a URL. `lambda_http` builds a URL from them and panics if it cannot: a
/// client could end the process, and the next requests would wait for a cold start.
fn readable(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(gateway) = &mut event.payload {
        // The gateway's own domain counts, over HTTPS alone.
        gateway.headers.remove("host");
        gateway.headers.remove("x-forwarded-proto");
        // Decoded by the gateway: a `#` or `?` in it would end the path, and `/webhooks/%23` be the list of all.
        gateway.raw_path = gateway.raw_path.take().map(|path| path.replace('#', "%23").replace('?', "%3F"));
        if let Some(path) = gateway.raw_path.as_mut().filter(|path| !path.starts_with('/')) {
            path.insert(0, '/');
        }
        gateway.raw_query_string = gateway.raw_query_string.take().map(|query| as_written_in_urls(&query));
    }
    event
}

fn as_written_in_urls(query: &str) -> String {
    let Ok(mut url) = Url::parse("https://localhost/") else { return String::new() };
    url.set_query(Some(query));
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use lambda_http::{Body, Context};
    use serde_json::{Value, json};

    use super::*;

    fn request(given: Value) -> Request<Body> {
        let mut event = json!({
            "version": "2.0", "rawPath": "/api/v1/webhooks/", "rawQueryString": "", "headers": {}, "isBase64Encoded": false,
            "requestContext": {"http": {"method": "GET"}, "domainName": "api.example", "stage": "$default", "timeEpoch": 0},
        });
        event.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let event = LambdaRequest::ApiGatewayV2(serde_json::from_value(event).unwrap());
        readable(LambdaEvent::new(event, Context::default())).payload.into()
    }

    #[test]
    fn a_request_is_what_the_client_sent() {
        let request = request(json!({"rawQueryString": "limit=2&cursor=a%2Fb+c", "headers": {"accept": "x"}}));

        assert_eq!(request.uri(), "https://api.example/api/v1/webhooks/?limit=2&cursor=a%2Fb+c");
        assert_eq!(request.headers()["accept"], "x");
    }

    #[test]
    fn what_makes_no_url_still_makes_a_request() {
        for (query, escaped) in [("a=<\">", "a=%3C%22%3E"), ("a=\u{e9} #", "a=%C3%A9%20%23"), ("{}|\\^`", "{}|\\^`")] {
            assert_eq!(request(json!({"rawQueryString": query})).uri().query(), Some(escaped));
        }
        for path in ["*", "", ":80x", "//", "/\u{e9}", "/ \"<>", "/%", "/\0"] {
            assert!(request(json!({"rawPath": path})).uri().path().starts_with('/'), "{path}");
        }
        assert_eq!(request(json!({"rawPath": "/webhooks/#a?b"})).uri().path(), "/webhooks/%23a%3Fb");
        for header in ["host", "x-forwarded-proto"] {
            assert_eq!(request(json!({"headers": {header: "a b"}})).uri().host(), Some("api.example"));
        }
    }
}
