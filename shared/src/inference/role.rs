//! Roles of the tenants' own accounts (contract, D15).

use aws_sdk_sagemakerruntime::config::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use uuid::Uuid;

use crate::domain::Error;
use crate::domain::id::OrganizationUid;
use crate::sdk;

/// What the owner of a role reads in its log.
const SESSION: &str = "autolabel";

/// All that the credentials are good for, whatever else the role may do.
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sagemaker:InvokeEndpoint","Resource":"*"}]}"#;

/// Credentials of a role, for an hour: longer than any worker lives, so nothing renews them. The external id is the tenant's, so
/// that no other tenant can have this system use a role that trusts it (AWS, "The confused deputy problem"). A role that does
/// not ask for the external id would let any tenant use it: it is refused.
///
/// # Errors
/// `ProviderRefused` if the role does not let us, or lets everybody; `SecretsUnavailable`.
pub(super) async fn assume(client: &Client, role: &str, organization: OrganizationUid) -> Result<Credentials, Error> {
    let ask = |external_id: String| {
        client.assume_role().role_arn(role).role_session_name(SESSION).policy(POLICY).external_id(external_id).send()
    };
    let answer = ask(organization.to_string()).await.map_err(|error| classify(error, organization))?;
    match ask(Uuid::now_v7().to_string()).await.map_err(|error| classify(error, organization)) {
        Err(Error::ProviderRefused(_)) => {}
        Err(busy) => return Err(busy),
        Ok(_) => {
            return Err(Error::ProviderRefused(format!(
                "The role of the inference provider lets every tenant of this system use it. Its trust policy must require sts:ExternalId to be {organization}."
            )));
        }
    }
    let given = answer.credentials.ok_or_else(|| Error::internal("a role without credentials"))?;
    Ok(Credentials::new(given.access_key_id, given.secret_access_key, Some(given.session_token), None, SESSION))
}

/// What does not pass is the role's refusal: there is nothing else in the request that could be wrong.
fn classify(error: SdkError<AssumeRoleError>, organization: OrganizationUid) -> Error {
    match sdk::classify(error, Error::SecretsUnavailable) {
        Error::Internal(_) => Error::ProviderRefused(format!(
            "The role of the inference provider could not be assumed. Its trust policy must allow this system to call sts:AssumeRole with the external id {organization}."
        )),
        busy => busy,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_sts::Config;
    use aws_sdk_sts::config::{BehaviorVersion, Region, SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::retry::RetryConfig;

    use super::*;

    const GIVEN: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
        <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration>\
        </Credentials></AssumeRoleResult></AssumeRoleResponse>";
    const DENIED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
        <Message>User arn:aws:sts::1:x is not authorized</Message></Error></ErrorResponse>";

    /// STS, answering so to each request in turn; keeps what it was asked.
    #[derive(Clone, Debug)]
    struct Sts {
        answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl HttpConnector for Sts {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap().to_vec();
            self.asked.lock().unwrap().push(String::from_utf8(body).unwrap());
            let (status, body) = self.answers.lock().unwrap().remove(0);
            HttpConnectorFuture::ready(Ok(HttpResponse::new(
                StatusCode::try_from(status).unwrap(),
                SdkBody::from(body),
            )))
        }
    }

    async fn assumed(answers: &[(u16, &'static str)]) -> (Result<Credentials, Error>, Vec<String>) {
        let sts = Sts { answers: Arc::new(Mutex::new(answers.to_vec())), asked: Arc::default() };
        let connector = SharedHttpConnector::new(sts.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        let role = "arn:aws:iam::123456789012:role/model";
        let result = assume(&Client::from_conf(config), role, OrganizationUid::named("acme")).await;
        (result, sts.asked.lock().unwrap().clone())
    }

    /// Contract D15.
    #[tokio::test]
    async fn a_role_is_assumed_with_the_tenant_as_its_external_id_and_for_one_action() {
        let (credentials, asked) = assumed(&[(200, GIVEN), (403, DENIED)]).await;

        let credentials = credentials.unwrap();
        assert_eq!((credentials.access_key_id(), credentials.session_token()), ("ASIA", Some("t")));
        assert!(asked[0].contains(&format!("&ExternalId={}", OrganizationUid::named("acme"))), "{}", asked[0]);
        assert!(asked[0].contains("&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmodel"), "{}", asked[0]);
        assert!(asked[0].contains("sagemaker%3AInvokeEndpoint"), "{}", asked[0]);
    }

    #[tokio::test]
    async fn a_role_that_asks_for_no_external_id_is_refused() {
        let (refused, asked) = assumed(&[(200, GIVEN), (200, GIVEN)]).await;

        let Err(Error::ProviderRefused(sentence)) = refused else { panic!("taken") };
        assert!(sentence.contains("must require sts:ExternalId"), "{sentence}");
        assert!(!asked[1].contains(&OrganizationUid::named("acme").to_string()), "{}", asked[1]);
    }

    #[tokio::test]
    async fn a_role_that_refuses_ends_the_job_and_a_busy_service_does_not() {
        let (refused, _) = assumed(&[(403, DENIED)]).await;
        let Err(Error::ProviderRefused(sentence)) = refused else { panic!("refused") };
        assert!(
            sentence.contains(&OrganizationUid::named("acme").to_string()) && !sentence.contains("arn:"),
            "{sentence}"
        );

        let (busy, _) = assumed(&[(503, "")]).await;
        assert!(matches!(busy, Err(Error::SecretsUnavailable(_))));
    }
}
