//! What every API function shares: the frame around its routes, the contract's errors, pages, and requests read the
//! contract's way.

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
#[cfg(all(test, feature = "testing"))]
mod tests;
mod throttle;
mod trace;

pub use auth::Caller;
pub use base::{ListRequest, PublicBase};
pub use cursor::Cursor;
pub use etag::{IfMatch, etag};
pub use frame::{Settings, api, wrong_method};
pub use idempotency::Repeatable;
pub use paging::{PageView, Paging, PagingParameters};
pub use path::Path;
pub use problem::{Problem, respond};
pub use request::Body;
pub use serve::serve;
