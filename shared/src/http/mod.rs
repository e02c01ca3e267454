//! What every API function shares: the key before anything else, the contract's errors, pages, and requests read the
//! contract's way.

mod auth;
mod base;
mod etag;
mod paging;
mod path;
mod problem;
mod request;

pub use auth::{Authentication, Caller};
pub use base::{ListRequest, PublicBase};
pub use etag::{IfMatch, etag};
pub use paging::{Cursor, PageView, Paging, PagingParameters};
pub use path::Path;
pub use problem::{Problem, respond};
pub use request::{Body, api, wrong_method};
