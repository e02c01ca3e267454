//! What can be wrong between this system and a model, as a code: the `problem` of a provider's test.

use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong. The sentence beside it says so to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Diagnosis {
    /// The address is none that may be called (contract, D18).
    AddressRefused,
    /// The host name has no address.
    Dns,
    /// No connection can be made.
    Unreachable,
    /// The certificate is past its date, or before it.
    TlsExpired,
    /// The certificate is another host's.
    TlsWrongName,
    /// The certificate is signed by an authority that is not trusted.
    TlsUnknownAuthority,
    /// Something else about the handshake.
    Tls,
    /// No complete answer came in time.
    Timeout,
    /// The connection was lost before the answer was complete.
    ConnectionBroken,
    /// The model refuses the credentials.
    CredentialsRefused,
    /// The role does not let this system use it, or lets any account use it (contract, D15).
    RoleNotAssumable,
    /// There is no such endpoint, or it is not in service.
    EndpointNotInService,
    /// The endpoint is there, and what the provider's `config` says of it does not fit.
    ConfigMismatch,
    /// The model has too much to do.
    Busy,
    /// The model answered with an error.
    ModelError,
    /// The answer is not what section 10.3 of the contract says.
    BadAnswer,
    /// Some of the answer's predictions are not: a job would do without them.
    PredictionsDropped,
    /// All coordinates of the answer seem to be fractions of the picture, or percent: a job would read them as pixels.
    UnlikelyCoordinates,
}
