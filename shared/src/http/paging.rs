//! Pages and cursors (contract, section 4).
//!
//! A cursor carries the filters and the page size, since the clients continue with it alone. It holds no tenant: the key
//! decides whose rows are read. A foreign or forged cursor only moves its caller within the caller's own list.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::cursor::Cursor;
use super::strays;
use crate::domain::{Error, fields, limits, show, unknown};
use crate::ports::{Before, Page, Slice};

/// The cursor of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ListCursor {
    /// Absent: a page read backward from the end of the list.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    backward: bool,
    #[serde(rename = "l")]
    limit: usize,
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    ascending: bool,
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<(String, String)>,
}

/// The part of a list that a request asks for, and the filters that narrow it.
#[derive(Clone, Debug)]
pub struct Paging {
    url: String,
    limit: usize,
    ascending: bool,
    after: Option<String>,
    backward: bool,
    filters: Vec<(String, String)>,
    ignored: Vec<String>,
}

/// The query parameters of every list.
// Their names are in [`PARAMETERS`].
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PagingParameters {
    /// Where to go on, as `next` or `previous` of another page says it. It carries that page's filters, order and size, which
    /// explicit parameters override.
    cursor: Option<String>,
    /// Rows of a page, at most 100. Anything else is 100.
    #[param(default = 100, value_type = Option<u32>)]
    limit: Option<usize>,
    /// `-created_at`, newest first, or `created_at`. Anything else is the former.
    #[param(default = "-created_at")]
    ordering: Option<String>,
}

/// The names of [`PagingParameters`].
const PARAMETERS: [&str; 3] = ["cursor", "limit", "ordering"];
/// A page's number. Clients of Avala send it to some of its lists; here pages have cursors.
const PAGE_NUMBER: &str = "page";
const OLDEST_FIRST: &str = "created_at";
const NEWEST_FIRST: &str = "-created_at";

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"next": null, "previous": null}))]
pub struct PageView<T> {
    /// Absolute URL of the next page; `null` on the last one.
    #[schema(required)]
    next: Option<String>,
    /// Absolute URL of the page before; `null` on the first one. It has the rows that come right before this page now: rows that
    /// were added since are on it, or on one before it.
    #[schema(required)]
    previous: Option<String>,
    /// The rows. A page may be short and still not be the last.
    results: Vec<T>,
    /// Parameters of the request that have had no effect: unknown to the list, or with a value that counts as none. Absent: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored_fields: Vec<String>,
}

impl PagingParameters {
    fn read(query: &[(String, String)]) -> Self {
        Self {
            cursor: given(query, "cursor").map(str::to_owned),
            limit: given(query, "limit").and_then(|text| text.parse().ok()).filter(|limit| *limit > 0),
            ordering: given(query, "ordering").map(str::to_owned),
        }
    }
}

impl Cursor for ListCursor {
    fn position(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

impl ListCursor {
    /// # Errors
    /// `InvalidCursor`, also if it goes forward from nowhere.
    fn read(text: &str) -> Result<Self, Error> {
        let cursor = Self::unpack(text)?;
        if cursor.after.is_some() || cursor.backward { Ok(cursor) } else { Err(Error::InvalidCursor) }
    }
}

impl Paging {
    /// Reads a query; see [`Self::open`]. Unknown parameters are refused, but for the number of a page.
    ///
    /// # Errors
    /// `InvalidCursor`; `Validation`.
    pub fn read(base: &str, path: &str, query: &[(String, String)], names: &[&str]) -> Result<Self, Error> {
        strays::complaints(query, &[&PARAMETERS, names].concat(), |name| name != PAGE_NUMBER)?;
        Self::open(base, path, query, names)
    }

    /// Reads a query. `base` is the public base URL, `path` the request's path below it with its last slash, `names` the
    /// filters that the list has. Parameters of the query override those of the cursor (contract, D6).
    ///
    /// # Errors
    /// `InvalidCursor`.
    pub fn open(base: &str, path: &str, query: &[(String, String)], names: &[&str]) -> Result<Self, Error> {
        let asked = PagingParameters::read(query);
        let known = asked.cursor.as_deref().map(ListCursor::read).transpose()?.unwrap_or_default();
        let filters = names.iter().filter_map(|name| {
            let held = known.filters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
            Some(((*name).to_owned(), given(query, name).or(held)?.to_owned()))
        });
        let limit = asked.limit.unwrap_or(known.limit);
        let ascending = match asked.ordering.as_deref() {
            Some(OLDEST_FIRST) => true,
            Some(NEWEST_FIRST) => false,
            _ => known.ascending,
        };
        Ok(Self {
            url: format!("{}{path}", base.trim_end_matches('/')),
            limit: if (1..=limits::PAGE).contains(&limit) { limit } else { limits::PAGE },
            ascending,
            after: known.after,
            backward: known.backward,
            filters: filters.collect(),
            ignored: ignored(query, &asked, names),
        })
    }

    /// The value of a filter.
    #[must_use]
    pub fn filter(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The value of a filter that takes one of `choices`, the names of `T` on the wire.
    ///
    /// # Errors
    /// `Validation` for any other value.
    pub fn choice<T: DeserializeOwned>(&self, filter: &str, choices: &[&str]) -> Result<Option<T>, Error> {
        let Some(given) = self.filter(filter).map(Value::from) else { return Ok(None) };
        let wanted = format!("one of {}", show::names(choices.iter().copied()));
        let chosen =
            T::deserialize(&given).map_err(|_| Error::field(filter, fields::must_be(&wanted, show::value(&given))))?;
        Ok(Some(chosen))
    }

    /// The part of the list that is asked for.
    #[must_use]
    pub fn slice(&self) -> Slice {
        Slice { after: self.after.clone(), limit: self.limit, ascending: self.ascending, backward: self.backward }
    }

    /// The page on the wire. The URLs are absolute, as the TypeScript client needs them.
    pub fn view<T, V>(&self, page: Page<T>, view: impl FnMut(T) -> V) -> PageView<V> {
        let previous = page.previous.map(|before| match before {
            Before::Position(position) => Some(position),
            Before::End => None,
        });
        PageView {
            next: page.next.map(|after| self.url_of(Some(after), false)),
            previous: previous.map(|before| self.url_of(before, true)),
            results: page.entries.into_iter().map(view).collect(),
            ignored_fields: self.ignored.clone(),
        }
    }

    /// An empty last page.
    #[must_use]
    pub fn empty<V>(&self) -> PageView<V> {
        PageView { next: None, previous: None, results: Vec::new(), ignored_fields: self.ignored.clone() }
    }

    fn url_of(&self, after: Option<String>, backward: bool) -> String {
        let Self { limit, ascending, filters, .. } = self.clone();
        let cursor = ListCursor { after, backward, limit, ascending, filters }.pack().unwrap_or_default();
        let mut query = form(&[("cursor", &cursor), ("limit", &self.limit.to_string())]);
        for (name, value) in &self.filters {
            query.push('&');
            query.push_str(&form(&[(name, value)]));
        }
        format!("{}?{query}", self.url)
    }
}

/// The parameters that have no effect, each named once.
fn ignored(query: &[(String, String)], asked: &PagingParameters, names: &[&str]) -> Vec<String> {
    let has_effect = |name: &str| match name {
        "limit" => asked.limit.is_some(),
        "ordering" => matches!(asked.ordering.as_deref(), Some(OLDEST_FIRST | NEWEST_FIRST)),
        name => name == "cursor" || names.contains(&name),
    };
    let sent = query.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
    let mut ignored: Vec<String> = sent.filter(|name| !has_effect(name)).map(|name| unknown::shown(name)).collect();
    ignored.sort();
    ignored.dedup();
    ignored
}

/// The value of a query parameter. An empty one counts as absent.
fn given<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let value = query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    value.filter(|value| !value.is_empty())
}

fn form(pairs: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(pairs).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::cursor::POSITION_BYTES;
    use super::*;

    const BASE: &str = "https://h/api/v1";

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    fn cursor_of(url: &str) -> String {
        url.split_once("cursor=").unwrap().1.split('&').next().unwrap().to_owned()
    }

    /// Contract D6.
    #[test]
    fn a_cursor_alone_keeps_filters_and_page_size() {
        let first = Paging::read(
            BASE,
            "/auto-label-jobs/",
            &query(&[("project", "p 1"), ("limit", "7")]),
            &["project", "status"],
        )
        .unwrap();
        let page = first.view(Page { entries: vec![1], next: Some("after".into()), previous: None }, |n| n);
        assert_eq!(page.previous, None);
        let url = page.next.unwrap();
        assert!(
            url.starts_with("https://h/api/v1/auto-label-jobs/?cursor=") && url.ends_with("&limit=7&project=p+1"),
            "{url}"
        );

        let second =
            Paging::read(BASE, "/auto-label-jobs/", &query(&[("cursor", &cursor_of(&url))]), &["project", "status"])
                .unwrap();
        let slice = Slice { after: Some("after".into()), limit: 7, ..Slice::default() };
        assert_eq!(second.slice(), slice);
        assert_eq!(second.filter("project"), Some("p 1"));

        for (before, after) in [(Before::Position("first".into()), Some("first".into())), (Before::End, None)] {
            let page = second.view(Page { entries: vec![2], next: None, previous: Some(before) }, |n| n);
            let query = query(&[("cursor", &cursor_of(&page.previous.unwrap()))]);
            let back = Paging::read(BASE, "/auto-label-jobs/", &query, &["project", "status"]).unwrap();
            assert_eq!(back.slice(), Slice { after, backward: true, ..slice.clone() });
            assert_eq!(back.filter("project"), Some("p 1"));
        }
    }

    /// A cursor of before there were pages backward.
    #[test]
    fn an_older_cursor_still_reads() {
        let older = URL_SAFE_NO_PAD.encode(r#"{"a":"x","l":5,"o":true}"#);
        let slice = Paging::read(BASE, "/", &query(&[("cursor", &older)]), &[]).unwrap().slice();

        assert_eq!(slice, Slice { after: Some("x".into()), limit: 5, ascending: true, backward: false });
    }

    /// Contract D6.
    #[test]
    fn odd_limits_fall_back() {
        for limit in ["0", "-1", "x", "1e9", "101", ""] {
            let paging = Paging::read(BASE, "/", &query(&[("limit", limit)]), &[]).unwrap();
            assert_eq!(paging.slice().limit, 100, "{limit}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_nearest_or_all() {
        let names = ["status", "item", "job"];
        let refused = |name| Paging::read(BASE, "/", &query(&[(name, "x")]), &names).unwrap_err().to_string();

        assert_eq!(refused("staus"), "staus: Unknown parameter. Did you mean status?");
        assert_eq!(refused("label"), "label: Unknown parameter. Known: cursor, limit, ordering, status, item, job.");
        let twice = query(&[("status", "draft"), ("status", "accepted")]);
        let refused = Paging::read(BASE, "/", &twice, &names).unwrap_err().to_string();
        assert_eq!(refused, "status: May be given once.", "one of them would be ignored");
    }

    #[test]
    fn what_has_no_effect_is_named_in_the_page() {
        let ignored = |pairs: &[(&str, &str)]| {
            let paging = Paging::open(BASE, "/", &query(pairs), &["status"]).unwrap();
            assert_eq!(paging.empty::<()>().ignored_fields, paging.ignored);
            serde_json::to_value(paging.view(Page::<()>::whole(vec![]), |row| row)).unwrap()["ignored_fields"].take()
        };

        assert_eq!(ignored(&[("limit", "2"), ("ordering", "created_at"), ("status", "x"), ("page", "")]), Value::Null);
        assert_eq!(
            ignored(&[("page", "2"), ("limit", "0"), ("ordering", "name"), ("organization", "o"), ("page", "3")]),
            json!(["limit", "ordering", "organization", "page"])
        );
        let page = Paging::read(BASE, "/", &query(&[("page", "2")]), &[]).unwrap();
        assert_eq!(page.ignored, ["page"]);
    }

    /// Contract D6.
    #[test]
    fn a_forged_cursor_is_refused() {
        for after in ["", &"x".repeat(POSITION_BYTES + 1)] {
            let forged = URL_SAFE_NO_PAD.encode(format!("{{\"a\":\"{after}\",\"l\":1}}"));
            let read = Paging::read(BASE, "/", &query(&[("cursor", &forged)]), &[]);
            assert!(matches!(read, Err(Error::InvalidCursor)));
        }
        let nowhere = URL_SAFE_NO_PAD.encode(r#"{"l":1}"#);
        assert!(matches!(Paging::read(BASE, "/", &query(&[("cursor", &nowhere)]), &[]), Err(Error::InvalidCursor)));
    }

    proptest! {
        #[test]
        fn no_cursor_breaks_anything(text in ".{0,60}") {
            let read = Paging::read(BASE, "/", &query(&[("cursor", &text)]), &[]);
            prop_assert!(text.is_empty() || matches!(read, Err(Error::InvalidCursor)));
        }
    }
}
