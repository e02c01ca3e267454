//! Models: the one seam, its two adapters, and the way to them.

mod http;
mod role;
mod sagemaker;
mod words;

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::config::{Builder, Credentials};

use crate::domain::Error;
use crate::domain::provider::InferenceProvider;
use crate::domain::provider::connection::{Connection, Reading, SageMaker};
use crate::egress::Egress;
use crate::ports::{Clock, Connect, InferenceError, InferenceRequest, Model, Secrets};

pub use http::HttpsEndpoint;
pub use role::Roles;
pub use sagemaker::Endpoint;

/// A model, wherever it is.
#[derive(Clone)]
pub enum AnyModel {
    /// Behind SageMaker.
    SageMaker(Endpoint),
    /// Behind an address of the user's.
    Https(HttpsEndpoint),
}

impl Model for AnyModel {
    fn reading(&self) -> &Reading {
        match self {
            Self::SageMaker(endpoint) => endpoint.reading(),
            Self::Https(endpoint) => endpoint.reading(),
        }
    }

    fn timeout(&self) -> Duration {
        match self {
            Self::SageMaker(endpoint) => endpoint.timeout(),
            Self::Https(endpoint) => endpoint.timeout(),
        }
    }

    async fn infer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError> {
        match self {
            Self::SageMaker(endpoint) => endpoint.infer(request).await,
            Self::Https(endpoint) => endpoint.infer(request).await,
        }
    }
}

/// The way to both kinds of model. Endpoints of all regions and roles share the process's HTTP client.
#[derive(Clone, Debug)]
pub struct Models<V, C> {
    /// For calls of models, which may take their time.
    pub config: SdkConfig,
    /// For providers that name a role.
    pub roles: Roles<C>,
    /// What opens credentials.
    pub secrets: V,
    /// The way out.
    pub egress: Egress,
}

impl<V, C> Models<V, C> {
    /// `None`: with the system's own credentials.
    fn endpoint(&self, endpoint: &SageMaker, credentials: Option<Credentials>) -> AnyModel {
        let mut config = Builder::from(&self.config).region(Region::new(endpoint.region.clone()));
        if let Some(credentials) = credentials {
            config = config.credentials_provider(credentials);
        }
        AnyModel::SageMaker(Endpoint::new(Client::from_conf(config.build()), endpoint.clone()))
    }
}

impl<V: Secrets, C: Clock> Connect for Models<V, C> {
    type Model = AnyModel;

    fn own(&self, endpoint: &SageMaker) -> AnyModel {
        self.endpoint(endpoint, None)
    }

    async fn connect(&self, provider: &InferenceProvider) -> Result<AnyModel, Error> {
        match &provider.connection {
            Connection::SageMaker(endpoint) => {
                let credentials = match &endpoint.role_arn {
                    Some(role) => Some(self.roles.credentials(role, provider.organization).await?),
                    None => None,
                };
                Ok(self.endpoint(endpoint, credentials))
            }
            Connection::Http(endpoint) => {
                let credentials = self.secrets.credentials(provider).await?;
                Ok(AnyModel::Https(HttpsEndpoint::new(self.egress.clone(), endpoint, &credentials)))
            }
        }
    }
}
