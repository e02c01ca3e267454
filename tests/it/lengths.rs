//! No function of the product is longer than 40 lines, from `fn` to its closing brace. Read from tokens, as in `layers`; unit
//! tests and their fakes may be longer.

use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::layers::files;

const LINES: usize = 40;
const PRODUCT: [&str; 4] = ["shared/src", "functions", "admin", "openapi"];
/// Fakes, which are linked into no Lambda.
const TESTING: &str = "shared/src/testing/";

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    /// Of its `fn`, from 1.
    line: usize,
    lines: usize,
}

/// What the tokens of a file hold.
#[derive(Default)]
struct Found {
    functions: Vec<Function>,
    /// Names of modules in files of their own that only tests have.
    test_modules: Vec<String>,
}

impl Found {
    fn of(tokens: TokenStream) -> Self {
        let mut found = Self::default();
        found.read(tokens);
        found
    }

    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at..] {
                [TokenTree::Punct(_), TokenTree::Group(attribute), ..] if is_for_tests(attribute) => {
                    self.pass_item(&tokens, at + 2)
                }
                [TokenTree::Ident(keyword), TokenTree::Ident(name), ..] if keyword == "fn" => {
                    let end = end_of_item(&tokens, at + 2);
                    if let Some(TokenTree::Group(body)) = tokens.get(end) {
                        let (first, last) = (keyword.span().start().line, body.span_close().end().line);
                        self.functions.push(Function { name: name.to_string(), line: first, lines: last + 1 - first });
                    }
                    at + 2
                }
                [TokenTree::Group(group), ..] => {
                    self.read(group.stream());
                    at + 1
                }
                _ => at + 1,
            };
        }
    }

    /// Leaves out an item of tests: goes on behind it.
    fn pass_item(&mut self, tokens: &[TokenTree], from: usize) -> usize {
        let end = end_of_item(tokens, from);
        if let [TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(_)] = &tokens[from..=end]
            && keyword == "mod"
        {
            self.test_modules.push(name.to_string());
        }
        end + 1
    }
}

/// `#[cfg(test)]`, or `#[cfg(all(test, ...))]`.
fn is_for_tests(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// Where an item ends: at its braces, or at a semicolon.
fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    };
    from + tokens[from..].iter().position(ends).unwrap()
}

/// The folder of a file's modules.
fn folder_of_modules(file: &str) -> String {
    let path = Path::new(file);
    let is_root = ["lib.rs", "main.rs", "mod.rs"].iter().any(|name| path.ends_with(name));
    let folder = if is_root { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    folder.to_str().unwrap().to_owned()
}

#[test]
fn functions_are_read_with_their_lengths() {
    let code = "fn one() {}\n#[cfg(test)]\nmod load;\ntrait T {\n  fn without(&self) -> [u8; 4];\n  fn with(\n    &self,\n  ) {\n  }\n}\n\
        #[cfg(test)]\nmod tests { fn long() {} }\nfn last(f: fn(u8) -> u8) { fn inner() {\n} }";
    let found = Found::of(code.parse().unwrap());

    let read: Vec<(&str, usize, usize)> =
        found.functions.iter().map(|function| (function.name.as_str(), function.line, function.lines)).collect();
    assert_eq!(read, [("one", 1, 1), ("with", 6, 4), ("last", 13, 2), ("inner", 13, 2)]);
    assert_eq!(found.test_modules, ["load"]);
    assert_eq!(folder_of_modules("a/src/lib.rs"), "a/src");
    assert_eq!(folder_of_modules("a/src/b.rs"), "a/src/b");
}

#[test]
fn no_function_is_longer_than_forty_lines() {
    let found: Vec<(String, Found)> =
        PRODUCT.iter().flat_map(|folder| files(folder)).map(|(file, tokens)| (file, Found::of(tokens))).collect();
    let test_modules: Vec<String> = found
        .iter()
        .flat_map(|(file, found)| found.test_modules.iter().map(|name| format!("{}/{name}", folder_of_modules(file))))
        .collect();
    let is_test = |file: &str| {
        let of_module =
            |module: &String| file.strip_prefix(module.as_str()).is_some_and(|rest| rest.starts_with(['.', '/']));
        file.starts_with(TESTING) || file.contains("/tests/") || test_modules.iter().any(of_module)
    };
    let mut complaints = Vec::new();
    for (file, found) in found.iter().filter(|(file, _)| !is_test(file)) {
        for Function { name, line, lines } in found.functions.iter().filter(|function| function.lines > LINES) {
            complaints.push(format!("{file}:{line}: {name} has {lines} lines"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
