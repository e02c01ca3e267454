//! The part that all API functions share: the frame around their routes, error bodies, pages, and the extractors of requests.

mod auth;
mod base;
mod cursor;
mod etag;
mod frame;
pub mod headers;
mod idempotency;
mod paging;
mod path;
mod problem;
mod request;
mod sealed;
mod serve;
mod strays;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod throttle;
mod trace;

pub use auth::Caller;
pub use base::{ListRequest, PublicBase};
pub use cursor::Cursor;
pub use etag::{IfMatch, IfMatchHeader, etag};
pub use frame::{Settings, api, wrong_method};
pub use idempotency::Repeatable;
pub use paging::{PageView, Paging, PagingParameters};
pub use path::Path;
pub use problem::{Answer, Problem};
pub use request::Body;
pub use serve::serve;
