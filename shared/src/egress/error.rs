use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::CertificateError::{
    BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
    Other, UnknownIssuer,
};
use rustls::OtherError;

use super::url::Refusal;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::show;

/// Why there is no answer. No text holds an address or a part of the request (I11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The guard has refused the address.
    #[error("The address was refused. {0}")]
    Refused(#[from] Refusal),
    /// The name has no address.
    #[error("The host name could not be resolved.")]
    Dns,
    /// No secure connection.
    #[error("No secure connection could be made: {0}")]
    Tls(#[from] TlsError),
    /// No process listens at the address.
    #[error("The host could not be connected to.")]
    Connect,
    /// The time is up: this much of it.
    #[error("No complete answer came within {}.", show::seconds(*.0))]
    Timeout(Duration),
    /// The connection was lost, or the answer was no HTTP.
    #[error("The connection broke before the answer was complete.")]
    Broken,
}

/// What is wrong with a server's certificate, or with its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Past its date, or before it.
    #[error("the certificate is not valid at this time.")]
    Expired,
    /// It is made out to another host.
    #[error("the certificate is not made out to this host name.")]
    WrongName,
    /// Signed by an authority that is not trusted, maybe by itself.
    #[error("the certificate is not signed by an authority that is trusted here.")]
    UnknownAuthority,
    /// Anything else; no TLS at all, for one.
    #[error("the certificate or the TLS handshake was not accepted.")]
    Other,
}

impl EgressError {
    /// The kind of failure, for programs.
    #[must_use]
    pub const fn diagnosis(self) -> Diagnosis {
        match self {
            Self::Refused(_) => Diagnosis::AddressRefused,
            Self::Dns => Diagnosis::Dns,
            Self::Tls(TlsError::Expired) => Diagnosis::TlsExpired,
            Self::Tls(TlsError::WrongName) => Diagnosis::TlsWrongName,
            Self::Tls(TlsError::UnknownAuthority) => Diagnosis::TlsUnknownAuthority,
            Self::Tls(TlsError::Other) => Diagnosis::Tls,
            Self::Connect => Diagnosis::Unreachable,
            Self::Timeout(_) => Diagnosis::Timeout,
            Self::Broken => Diagnosis::ConnectionBroken,
        }
    }

    /// Whether the next call would fail the same way: an address that may not be called, a certificate that does not hold. A
    /// handshake that breaks off may be that of one node of several, or of a load balancer without any.
    #[must_use]
    pub const fn lasts(self) -> bool {
        match self {
            Self::Refused(_) | Self::Tls(TlsError::Expired | TlsError::WrongName | TlsError::UnknownAuthority) => true,
            Self::Tls(TlsError::Other) | Self::Dns | Self::Connect | Self::Timeout(_) | Self::Broken => false,
        }
    }

    /// Keeps the kind and drops the error: its text has the URL.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(refusal) = cause::<Refusal>(error) {
            return Self::Refused(*refusal);
        }
        match cause::<rustls::Error>(error) {
            _ if error.is_dns() => Self::Dns,
            Some(tls) => Self::Tls(TlsError::of(tls)),
            _ if error.is_connect() => Self::Connect,
            _ => Self::Broken,
        }
    }
}

impl TlsError {
    fn of(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(certificate) = error else { return Self::Other };
        match certificate {
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => Self::Expired,
            NotValidForName | NotValidForNameContext { .. } => Self::WrongName,
            // An authority with the name of a trusted one is another one.
            UnknownIssuer | BadSignature => Self::UnknownAuthority,
            // One that vouches for itself as an authority: what `openssl req -x509` makes.
            Other(OtherError(error)) if error.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) => {
                Self::UnknownAuthority
            }
            _ => Self::Other,
        }
    }
}

/// The cause of this type, if there is one. An `io::Error` hides what it wraps from `source`.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
