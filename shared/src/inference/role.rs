//! Roles of the tenants' own accounts (contract, D15).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_sagemakerruntime::config::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::{AssumeRoleError, AssumeRoleOutput};
use jiff::SignedDuration;
use uuid::Uuid;

use crate::domain::access::trust::Trust;
use crate::domain::id::OrganizationUid;
use crate::domain::{Error, Timestamp};
use crate::ports::Clock;
use crate::sdk::{self, LazyClient};

/// What the owner of a role reads in its log.
const SESSION: &str = "autolabel";
/// Credentials are good for an hour (AWS, "AssumeRole"). They are used again while they have this long left: a worker's 15 minutes,
/// and 5 for clocks that differ.
const LEAST_LEFT: SignedDuration = SignedDuration::from_mins(20);

/// All that the credentials are good for, whatever else the role may do.
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sagemaker:InvokeEndpoint","Resource":"*"}]}"#;

/// The way into roles.
#[derive(Clone, Debug)]
pub struct Roles<C> {
    client: LazyClient<Client>,
    trust: Trust,
    clock: C,
    /// By tenant and role. `None`: nothing is kept.
    kept: Option<Arc<Mutex<HashMap<RoleOf, Given>>>>,
}

type RoleOf = (OrganizationUid, String);

#[derive(Clone, Debug)]
struct Given {
    credentials: Credentials,
    expires: Timestamp,
}

impl Given {
    fn lasts(&self, now: Timestamp) -> bool {
        self.expires.duration_since(now) >= LEAST_LEFT
    }
}

impl<C: Clock> Roles<C> {
    /// Keeps no credentials: each call assumes the role again, so that a test of a provider sees what its owner has just changed.
    #[must_use]
    pub fn new(client: impl Into<LazyClient<Client>>, trust: Trust, clock: C) -> Self {
        Self { client: client.into(), trust, clock, kept: None }
    }

    /// Credentials are kept from one invocation to the next, as long as they last.
    #[must_use]
    pub fn keeping(self) -> Self {
        Self { kept: Some(Arc::default()), ..self }
    }

    /// Credentials of a role: they outlast any worker, so nothing renews them.
    ///
    /// # Errors
    /// `ProviderRefused` if the role cannot be assumed, or by every tenant; `SecretsUnavailable`.
    pub(super) async fn credentials(&self, role: &str, organization: OrganizationUid) -> Result<Credentials, Error> {
        let (role_of, now) = ((organization, role.to_owned()), self.clock.now());
        let kept = self.kept.as_ref().and_then(|kept| locked(kept).get(&role_of).cloned());
        if let Some(given) = kept.filter(|given| given.lasts(now)) {
            return Ok(given.credentials);
        }
        let given = self.assume(role, organization).await?;
        if let Some(kept) = &self.kept {
            let mut kept = locked(kept);
            kept.retain(|_, other| other.lasts(now));
            kept.insert(role_of, given.clone());
        }
        Ok(given.credentials)
    }

    /// The external id is the tenant's. A role that does not ask for it would let any tenant use it: it is refused.
    async fn assume(&self, role: &str, organization: OrganizationUid) -> Result<Given, Error> {
        let answer = self.ask(role, Trust::external_id(organization)).await;
        let answer = answer.map_err(|error| self.classify(error, organization))?;
        match self.ask(role, Uuid::now_v7().to_string()).await.map_err(|error| self.classify(error, organization)) {
            Err(Error::ProviderRefused(_)) => {}
            Err(busy) => return Err(busy),
            Ok(_) => return Err(self.refused("lets every tenant of this system use it", "Replace", organization)),
        }
        let given = answer.credentials.ok_or_else(|| Error::internal("a role without credentials"))?;
        let expires = Timestamp::from_second(given.expiration.secs()).map_err(Error::internal)?;
        let token = Some(given.session_token);
        Ok(Given {
            credentials: Credentials::new(given.access_key_id, given.secret_access_key, token, None, SESSION),
            expires,
        })
    }

    async fn ask(&self, role: &str, external_id: String) -> Result<AssumeRoleOutput, SdkError<AssumeRoleError>> {
        let ask = self.client.assume_role().role_arn(role).role_session_name(SESSION).policy(POLICY);
        ask.external_id(external_id).send().await
    }

    /// What does not pass is the role's refusal: there is nothing else in the request that could be wrong.
    fn classify(&self, error: SdkError<AssumeRoleError>, organization: OrganizationUid) -> Error {
        match sdk::classify(error, Error::SecretsUnavailable) {
            Error::Internal(_) => self.refused("could not be assumed", "Add", organization),
            busy => busy,
        }
    }

    fn refused(&self, what: &str, how: &str, organization: OrganizationUid) -> Error {
        let statement = self.trust.statement(organization);
        Error::ProviderRefused(format!(
            "The role of the inference provider {what}. {how} this statement in its trust policy, which requires sts:ExternalId to be your organization's: {statement}"
        ))
    }
}

fn locked<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
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
    use crate::testing::StoppedClock;

    /// Expires at 2030-01-01T00:00:00Z.
    const GIVEN: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
        <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration>\
        </Credentials></AssumeRoleResult></AssumeRoleResponse>";
    const DENIED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
        <Message>User arn:aws:sts::1:x is not authorized</Message></Error></ErrorResponse>";

    const EXPIRES: i64 = 1_893_456_000;
    const ROLE: &str = "arn:aws:iam::123456789012:role/model";

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

    /// Roles, and what STS was asked about them.
    fn roles(answers: &[(u16, &'static str)], now: i64) -> (Roles<StoppedClock>, Arc<Mutex<Vec<String>>>) {
        let sts = Sts { answers: Arc::new(Mutex::new(answers.to_vec())), asked: Arc::default() };
        let connector = SharedHttpConnector::new(sts.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        let trust = Trust::new(vec!["arn:aws:iam::1:role/infer".into()]);
        (Roles::new(Client::from_conf(config), trust, StoppedClock::at(now)), sts.asked)
    }

    async fn assumed(answers: &[(u16, &'static str)]) -> (Result<Credentials, Error>, Vec<String>) {
        let (roles, asked) = roles(answers, 0);
        let result = roles.credentials(ROLE, OrganizationUid::named("acme")).await;
        (result, asked.lock().unwrap().clone())
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
        assert!(sentence.contains("lets every tenant") && sentence.contains("Replace this statement"), "{sentence}");
        assert!(!asked[1].contains(&OrganizationUid::named("acme").to_string()), "{}", asked[1]);
    }

    #[tokio::test]
    async fn a_role_that_refuses_ends_the_job_and_a_busy_service_does_not() {
        let (refused, _) = assumed(&[(403, DENIED)]).await;
        let Err(Error::ProviderRefused(sentence)) = refused else { panic!("refused") };
        let statement = Trust::new(vec!["arn:aws:iam::1:role/infer".into()]).statement(OrganizationUid::named("acme"));
        assert!(sentence.contains("could not be assumed. Add this statement"), "{sentence}");
        assert!(sentence.ends_with(&statement.to_string()), "{sentence}");

        let (busy, _) = assumed(&[(503, "")]).await;
        assert!(matches!(busy, Err(Error::SecretsUnavailable(_))));
    }

    #[tokio::test]
    async fn what_is_kept_serves_its_tenant_while_it_lasts_and_no_other_one() {
        let once = [(200, GIVEN), (403, DENIED)];
        let (acme, other) = (OrganizationUid::named("acme"), OrganizationUid::named("other"));
        let left = |minutes: i64| EXPIRES - minutes * 60;
        for (kept, minutes, tenants, assumed) in [
            (true, 60, [acme, acme], 1),
            (true, 20, [acme, acme], 1),
            (true, 19, [acme, acme], 2),
            (true, 60, [acme, other], 2),
            (false, 60, [acme, acme], 2),
        ] {
            let (roles, asked) = roles(&[once, once].concat(), left(minutes));
            let roles = if kept { roles.keeping() } else { roles };
            for tenant in tenants {
                assert!(roles.credentials(ROLE, tenant).await.is_ok());
            }

            assert_eq!(asked.lock().unwrap().len(), 2 * assumed, "{minutes} minutes left, kept: {kept}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_not_kept() {
        let (roles, _) = roles(&[(403, DENIED), (200, GIVEN), (403, DENIED)], EXPIRES - 3_600);
        let roles = roles.keeping();
        let ask = || roles.credentials(ROLE, OrganizationUid::named("acme"));

        assert!(matches!(ask().await, Err(Error::ProviderRefused(_))));
        assert!(ask().await.is_ok());
    }
}
