//! Dependencies point one way (CONTRIBUTING.md, "Where a change goes"): `functions -> adapters -> ports -> domain`. Read from the
//! tokens of every source file, so that comments and strings say what they like.

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::repository;

/// Every unit test may name it, and nothing else can: no build that ships has the feature.
const TESTING: &str = "testing";

/// What each module of `shared` may name of the others; itself always.
const SHARED: [(&str, &[&str]); 15] = [
    ("domain", &[]),
    ("ports", &["domain"]),
    ("services", &["ports", "domain"]),
    // How AWS clients are made, and what their errors mean.
    ("sdk", &["domain"]),
    ("store", &["sdk", "ports", "domain"]),
    ("egress", &["ports", "domain"]),
    ("inference", &["sdk", "egress", "ports", "domain"]),
    ("webhooks", &["egress", "ports", "domain"]),
    ("objects", &["sdk", "ports", "domain"]),
    ("executions", &["sdk", "ports", "domain"]),
    ("queue", &["sdk", "ports", "domain"]),
    ("secrets", &["sdk", "ports", "domain"]),
    ("http", &["ports", "domain"]),
    ("lambda", &["sdk", "ports", "domain"]),
    // Builds a whole API function around its routes, as `http` puts it together.
    (TESTING, &["http", "ports", "domain"]),
];

/// The rooms of the domain. Each may name those before it; the modules of `kernel` go by `domain` itself.
const ROOMS: [&str; 12] = [
    "kernel",
    "access",
    "prediction",
    "item",
    "provider",
    "job",
    "upload",
    "project",
    "reply",
    "export",
    "import",
    "webhook",
];

/// What a function's handlers may name of `shared`. Everything else is wiring, and only a `main.rs` does that.
const HANDLERS: [&str; 9] = [
    "domain",
    "ports",
    "services",
    "http",
    TESTING,
    // Rules and wire forms that live beside their adapter: values, no connection to anything.
    "egress::{file_url_field, same_origin, url_field}",
    "queue::{Attributes, DeliveryMessage, ExportMessage, ImportMessage, SqsBatchResponse, SqsEvent, SqsMessage, UploadMessage}",
    "webhooks::{ATTEMPT, Schedule}",
    "webhooks::new_secret",
];

/// Which module of `shared` may name an SDK crate.
const SDKS: [(&str, &str); 7] = [
    ("aws_sdk_dynamodb", "store"),
    ("aws_sdk_s3", "objects"),
    ("aws_sdk_sagemakerruntime", "inference"),
    ("aws_sdk_sfn", "executions"),
    ("aws_sdk_sqs", "queue"),
    ("aws_sdk_kms", "secrets"),
    ("aws_sdk_sts", "inference"),
];

/// A source file: where it is below the repository's root, and every path that it names.
struct Source {
    file: String,
    paths: Vec<Vec<String>>,
}

impl Source {
    /// All sources below a folder.
    fn below(folder: &str) -> Vec<Self> {
        files(folder).into_iter().map(|(file, tokens)| Self { file, paths: paths(tokens) }).collect()
    }

    /// The sources of every function, and of the administration command.
    fn of_binaries() -> Vec<Self> {
        Self::below("functions").into_iter().chain(Self::below("admin")).collect()
    }

    fn is_main(&self) -> bool {
        self.file.ends_with("/src/main.rs")
    }

    /// The module of `shared` that the file belongs to, and how deep below the crate's root it is.
    fn module(&self) -> Option<(&str, usize)> {
        let inner = self.file.strip_prefix("shared/src/")?.trim_end_matches(".rs").trim_end_matches("/mod");
        Some((inner.split('/').next()?, inner.split('/').count())).filter(|(module, _)| *module != "lib")
    }

    /// Every path that begins with `root`, without it.
    fn paths_of<'a>(&'a self, root: &'a str) -> impl Iterator<Item = &'a [String]> {
        self.paths.iter().filter(move |path| path[0] == root && path.len() > 1).map(|path| &path[1..])
    }
}

/// All Rust files below a folder: where each is below the repository's root, and its tokens.
pub(crate) fn files(folder: &str) -> Vec<(String, TokenStream)> {
    let mut found = Vec::new();
    collect(&repository(""), Path::new(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, TokenStream)>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if root.join(&path).is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.to_str().unwrap().to_owned();
            let text = fs::read_to_string(root.join(&path)).unwrap();
            let tokens = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
            found.push((file, tokens));
        }
    }
}

/// Every path in the tokens, at any depth; `a::{b, c::d}` is two.
fn paths(tokens: TokenStream) -> Vec<Vec<String>> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut path = Vec::new();
        while let Some(TokenTree::Ident(part)) = tokens.get(at) {
            path.push(part.to_string());
            at += 1;
            if !is_separator(&tokens[at..]) {
                break;
            }
            at += 2;
        }
        match tokens.get(at) {
            Some(TokenTree::Group(group)) => {
                let inner = paths(group.stream());
                // Only after a separator do braces go on with the path.
                let continues = at > 1 && is_separator(&tokens[at - 2..]) && group.delimiter() == Delimiter::Brace;
                if continues && !path.is_empty() {
                    found.extend(inner.into_iter().map(|rest| path.iter().cloned().chain(rest).collect()));
                } else {
                    found.extend(inner);
                    found.extend(Some(path).filter(|path| !path.is_empty()));
                }
                at += 1;
            }
            _ if path.is_empty() => at += 1,
            _ => found.push(path),
        }
    }
    found
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    colon(tokens.first()) && colon(tokens.get(1))
}

/// Fails with every complaint at once.
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn named(source: &Source, path: &[String]) -> String {
    format!("{} names {}", source.file, path.join("::"))
}

#[test]
fn paths_are_read_out_of_any_code() {
    let code = r#"
        //! crate::comment
        use crate::{ports::{Page, Slice}, domain::Error as E};
        fn f() -> crate::store::Store { info!("crate::text", x = shared::http::Body); match y { Z => std::env::var("A") } }
    "#;
    let read: Vec<String> = paths(code.parse().unwrap()).iter().map(|path| path.join("::")).collect();

    for path in [
        "crate::ports::Page",
        "crate::ports::Slice",
        "crate::domain::Error",
        "crate::store::Store",
        "shared::http::Body",
        "std::env::var",
    ] {
        assert!(read.iter().any(|read| read == path), "{path} is not in {read:?}");
    }
    assert!(!read.iter().any(|path| path.contains("comment") || path.contains("text")));
}

#[test]
fn modules_of_shared_name_only_what_is_below_them() {
    let mut complaints = Vec::new();
    for source in Source::below("shared/src") {
        let Some((module, depth)) = source.module() else { continue };
        let allowed = SHARED.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            complaints.push(format!("{} belongs to a module that this test does not know", source.file));
            continue;
        };
        let may_name = |head: &String| head == module || head == TESTING || allowed.contains(&head.as_str());
        for path in source.paths_of("crate").filter(|path| !may_name(&path[0])) {
            complaints.push(named(&source, path));
        }
        // As many `super` as the module is deep lead to the crate's root, too.
        let to_root = |path: &&[String]| path.len() >= depth && path[..depth - 1].iter().all(|part| part == "super");
        for path in source.paths_of("super").filter(to_root) {
            let head = &path[depth - 1];
            if SHARED.iter().any(|(name, _)| name == head) && !may_name(head) {
                complaints.push(named(&source, path));
            }
        }
    }
    assert_none(complaints);
}

#[test]
fn rooms_of_the_domain_name_only_rooms_before_them() {
    let number = |name: &str| ROOMS.iter().position(|room| *room == name);
    let mut complaints = Vec::new();
    for source in Source::below("shared/src/domain") {
        let inner = source.file.trim_start_matches("shared/src/domain/");
        let Some((room, _)) = inner.split_once('/') else { continue };
        let Some(own) = number(room) else {
            complaints.push(format!("{} belongs to a room that this test does not know", source.file));
            continue;
        };
        let is_later = |name: &String| number(name).is_some_and(|other| other > own);
        for path in source.paths_of("crate").filter(|path| path[0] == "domain") {
            complaints.extend(path.get(1).filter(|name| is_later(name)).map(|_| named(&source, path)));
        }
        for path in source.paths_of("super") {
            let first = path.iter().find(|part| *part != "super");
            complaints.extend(first.filter(|name| is_later(name)).map(|_| named(&source, path)));
        }
    }
    assert_none(complaints);
}

#[test]
fn only_a_main_names_an_adapter() {
    let allowed: Vec<Vec<String>> = HANDLERS.iter().flat_map(|path| paths(path.parse().unwrap())).collect();
    let mut complaints = Vec::new();
    for source in Source::of_binaries().iter().filter(|source| !source.is_main()) {
        let may_name = |path: &[String]| allowed.iter().any(|allowed| path.starts_with(allowed));
        complaints.extend(source.paths_of("shared").filter(|path| !may_name(path)).map(|path| named(source, path)));
    }
    assert_none(complaints);
}

#[test]
fn an_sdk_is_named_by_its_adapter_and_by_mains() {
    let mut complaints = Vec::new();
    for source in
        Source::below("shared/src").into_iter().chain(Source::of_binaries()).filter(|source| !source.is_main())
    {
        let module = source.module().map(|(module, _)| module);
        for path in source.paths.iter().filter(|path| path[0].starts_with("aws_sdk_")) {
            let home = SDKS.iter().find(|(sdk, _)| *sdk == path[0]).map(|(_, home)| *home);
            if home.is_none() || home != module {
                complaints.push(named(&source, path));
            }
        }
    }
    assert_none(complaints);
}

#[test]
fn the_environment_is_read_by_one_file() {
    let mut complaints = Vec::new();
    for source in Source::below("shared/src").into_iter().chain(Source::of_binaries()) {
        if source.file != "shared/src/lambda/env.rs" {
            complaints.extend(source.paths_of("std").filter(|path| path[0] == "env").map(|path| named(&source, path)));
        }
    }
    assert_none(complaints);
}
