//! No file cites a document that is not there. Read from all text files of the repository: links and headings of pages, paths,
//! sections and decisions of the contract, decision records, invariants.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::repository;

/// Folders that hold no text of ours: what is built or installed, and public bug reports as they came.
const SKIPPED: [&str; 8] =
    ["target", "node_modules", "dist", "dist-bench", "cdk.out", "demo-output", "cases", "golden"];
const TEXTS: [&str; 7] = ["md", "rs", "ts", "mjs", "py", "toml", "json"];
/// A name in backticks that begins with one of these is a path.
const FOLDERS: [&str; 11] = [
    "admin/",
    "bench/",
    "console/",
    "docs/",
    "examples/",
    "functions/",
    "infra/",
    "local/",
    "openapi/",
    "shared/",
    "tests/",
];
/// In a page, so is a name in backticks that has a slash and ends in one of these. It may begin at the page's folder.
const ENDINGS: [&str; 8] = [".json", ".jsonl", ".md", ".mjs", ".py", ".rs", ".toml", ".ts"];

/// With a capital or without.
const CONTRACT: &str = "ontract";
/// Lists of what is not to be there.
const OTHERS: [&str; 2] = ["tests/it/documents.rs", "tests/it/words.rs"];
/// Files that a failed test writes.
const WRITTEN: [&str; 2] = ["shared/tests/answers.seeds", "shared/tests/heads.seeds"];

/// A text file.
pub(crate) struct File {
    /// Below the repository's root.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    fn is_page(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The text in one line, without the marks of comments: a citation may be broken by a line's end.
    fn line(&self) -> String {
        let mut line = String::new();
        for part in self.text.lines() {
            line.push_str(part.trim().trim_start_matches(['/', '!', '#', '*', '|']).trim());
            line.push(' ');
        }
        line
    }

    /// The text without what stands between fences.
    fn prose(&self) -> String {
        let mut fenced = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            prose.push_str(if fenced || fence { "" } else { line });
            prose.push('\n');
        }
        prose
    }

    /// The names in backticks, none of which is broken by a line's end.
    fn spans(&self) -> Vec<String> {
        let prose = if self.is_page() { self.prose() } else { self.text.clone() };
        prose
            .lines()
            .flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

/// Every text file, but for this one.
pub(crate) fn files() -> Vec<File> {
    let mut files = Vec::new();
    collect("", &mut files);
    assert!(files.len() > 300, "{} files", files.len());
    files
}

fn collect(folder: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(repository(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            if !SKIPPED.contains(&name.as_str()) && (!name.starts_with('.') || name == ".github") {
                collect(&path, files);
            }
        } else if (name == "Makefile" || TEXTS.contains(&ending(&name)))
            && name != "package-lock.json"
            && !OTHERS.contains(&path.as_str())
        {
            files.push(File { text: fs::read_to_string(entry.path()).unwrap(), path });
        }
    }
}

fn ending(name: &str) -> &str {
    Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

/// Whether there is such a file or folder, below the root or below a folder. A decision record may be named by its number.
fn exists(path: &str, folder: &str) -> bool {
    let below = |path: String| repository(&path).exists();
    let record = path.strip_prefix("docs/decisions/").is_some_and(|number| records().contains(number));
    record || WRITTEN.contains(&path) || below(path.to_owned()) || below(format!("{folder}/{path}"))
}

fn page(path: &str) -> File {
    File { text: fs::read_to_string(repository(path)).unwrap(), path: path.to_owned() }
}

/// The headings of a page as anchors.
fn anchors(page: &File) -> BTreeSet<String> {
    page.prose()
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

/// In lower case, blanks as hyphens, without punctuation.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// What a citation names after each `word`: sections (`6.1`), decisions of the contract (`D9`), records (`0013`).
fn cited(line: &str, word: &str) -> Vec<String> {
    let mut cited = Vec::new();
    for (at, _) in line.match_indices(word) {
        let rest = &line[at + word.len()..];
        if word == CONTRACT && ![",", "'s", " section", " D"].iter().any(|mark| rest.starts_with(mark)) {
            continue;
        }
        let rest = rest.trim_start_matches(['s', '\'', ',', '/']);
        for word in rest.split_whitespace().take(12) {
            let name = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_number(name) {
                cited.push(name.to_owned());
            } else if !matches!(name, "section" | "sections" | "and" | "or" | "to" | "with") {
                break;
            }
            if word.ends_with([')', '.', ';', ':']) {
                break;
            }
        }
    }
    cited
}

/// `6`, `6.1`, `D9`, `0013`.
fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix('D').unwrap_or(name);
    !digits.is_empty()
        && digits.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The sections that the contract has, and its decisions.
fn contract() -> BTreeSet<String> {
    let contract = page("docs/contract.md");
    let sections =
        contract.text.lines().filter(|line| line.starts_with('#')).filter_map(|line| line.split_whitespace().nth(1));
    let decisions = page("docs/contract-decisions.toml");
    let numbers = decisions.text.lines().filter_map(|line| line.strip_prefix("number = "));
    sections
        .map(|number| number.trim_end_matches('.').to_owned())
        .chain(numbers.map(|number| number.replace('"', "")))
        .collect()
}

/// The numbers of the decision records.
fn records() -> BTreeSet<String> {
    let files = fs::read_dir(repository("docs/decisions")).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()[..4].to_owned()).collect()
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading() {
    let mut links = 0;
    let mut dead = Vec::new();
    for file in files().iter().filter(|file| file.is_page()) {
        let prose = file.prose();
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { file.path.clone() } else { format!("{}/{path}", file.folder()) };
            let path = path.trim_start_matches('/');
            if !repository(path).exists() || !anchor.is_empty() && !anchors(&page(path)).contains(anchor) {
                dead.push(format!("{}: {target}", file.path));
            }
        }
    }
    assert!(links > 50, "{links} links");
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_document_that_is_named_exists() {
    let files = files();
    let names: BTreeSet<&str> =
        files.iter().filter(|file| file.is_page()).filter_map(|file| file.path.rsplit('/').next()).collect();
    let mut dead = Vec::new();
    for file in &files {
        let words = file.text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '/' | '-'));
        for word in words.map(|word| word.trim_end_matches('.')).filter(|word| word.ends_with(".md") && *word != ".md")
        {
            let name = word.trim_start_matches('/');
            if !word.starts_with("//") && !names.contains(name) && !exists(word, file.folder()) {
                dead.push(format!("{}: {word}", file.path));
            }
        }
        let guides = concat!("guides", "/");
        if file.text.contains(guides) {
            dead.push(format!("{}: {guides}", file.path));
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_heading_that_is_named_exists() {
    let mut dead = Vec::new();
    for file in files() {
        let line = file.line();
        for (at, mark) in line.match_indices(".md, \"") {
            let name = line[..at].rsplit([' ', '(', '[', '`']).next().unwrap();
            let title = line[at + mark.len()..].split('"').next().unwrap();
            let path = format!("{name}.md");
            if repository(&path).exists() && !anchors(&page(&path)).contains(&anchor(title)) {
                dead.push(format!("{}: {name}.md, {title}", file.path));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_path_that_is_named_exists() {
    let mut dead = Vec::new();
    for file in files() {
        for name in file.spans() {
            let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte));
            let is_file = file.is_page()
                && name.contains('/')
                && !name.starts_with('/')
                && ENDINGS.iter().any(|ending| name.ends_with(ending));
            let is_path = FOLDERS.iter().any(|folder| name.starts_with(folder)) || is_file;
            if is_plain && is_path && !exists(&name, file.folder()) {
                dead.push(format!("{}: {name}", file.path));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_section_and_decision_of_the_contract_that_is_cited_exists() {
    let known = contract();
    let mut count = 0;
    let mut dead = Vec::new();
    for file in files() {
        let line = file.line();
        let before = line.match_indices(" of the contract").filter_map(|(at, _)| line[..at].split_whitespace().last());
        let cited = cited(&line, CONTRACT).into_iter().chain(before.map(str::to_owned));
        for name in cited.filter(|name| is_number(name) && name.split('.').next().is_some_and(|part| part.len() < 3)) {
            count += 1;
            if !known.contains(&name) {
                dead.push(format!("{}: {name}", file.path));
            }
        }
    }
    // docs/openapi.json, which repeated some of them, has none any more.
    assert!(count > 175, "{count} citations");
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_decision_that_is_cited_exists() {
    let known: BTreeSet<String> = records().into_iter().chain(contract()).collect();
    let mut count = 0;
    let mut dead = Vec::new();
    for file in files() {
        let mut cited = cited(&file.line(), "ecision");
        if file.is_page() {
            let words = file.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
            cited.extend(
                words.filter(|word| word.len() == 4 && word.starts_with("00") && is_number(word)).map(str::to_owned),
            );
        }
        for name in cited {
            count += 1;
            if !known.contains(&name) {
                dead.push(format!("{}: {name}", file.path));
            }
        }
    }
    assert!(count > 100, "{count} citations");
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_invariant_that_is_named_is_in_the_list() {
    let list = page("ARCHITECTURE.md");
    let rows = list.text.lines().filter_map(|line| line.strip_prefix("| I")).filter_map(|row| row.split(' ').next());
    let known: BTreeSet<&str> = rows.filter(|number| is_number(number)).collect();
    let mut dead = Vec::new();
    for file in files().iter().filter(|file| matches!(ending(&file.path), "md" | "rs" | "py")) {
        for word in file.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.strip_prefix('I').is_some_and(|number| is_number(number) && !known.contains(number)) {
                dead.push(format!("{}: {word}", file.path));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}
