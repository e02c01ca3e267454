//! `make test` builds nothing that has no tests (decision 0036): each function's binary would be compiled twice, and rustdoc would
//! read each library.

use std::fs;
use std::path::PathBuf;

use crate::{documents, repository};

/// The folders of the functions.
fn functions() -> Vec<PathBuf> {
    fs::read_dir(repository("functions")).unwrap().map(|folder| folder.unwrap().path()).collect()
}

#[test]
fn a_function_has_its_tests_in_its_library_and_its_binary_is_not_built_for_them() {
    for folder in functions() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let wiring = fs::read_to_string(folder.join("src/main.rs")).unwrap();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();

        assert!(!wiring.contains("test"), "{name} has tests in main.rs, which nothing runs");
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\ntest = false\n")), "{name}");
    }
}

#[test]
fn no_library_has_documentation_tests() {
    let libraries = ["shared", "bench", "openapi", "tests", "tests/protocol"].map(repository);
    for folder in functions().into_iter().chain(libraries) {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lib]\ndoctest = false\n"), "{}", folder.display());
    }
    for file in documents::files().iter().filter(|file| file.path.ends_with(".rs")) {
        let mut comments = file.text.lines().map(str::trim_start).filter(|line| line.starts_with("//"));
        assert!(!comments.any(|line| line.contains("```")), "{} has an example, which nothing runs", file.path);
    }
}
