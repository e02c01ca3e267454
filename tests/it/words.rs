//! The house speaks the field's language (docs/glossary.md): words that were riddles to newcomers do not come back.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::repository;

/// A word, in all its forms, and what to say instead.
const RIDDLES: [(&[&str], &str); 14] = [
    (&["tell", "tells", "told", "telling", "teller"], "notify, post, say, report, name"),
    (&["bury", "buries", "buried", "burying"], "send to the dead-letter queue"),
    (&["look", "looks", "looked", "looking"], "check, read, search, appear"),
    (&["place", "places"], "position, slot, location, path"),
    (&["nobody", "somebody", "everybody", "whoever", "whosever", "whomever"], "the process, the caller, no one"),
    (&["anew"], "again; redelivered"),
    (&["stretch", "stretches"], "query, range"),
    (&["spoilt", "spoiled", "spoil"], "corrupted"),
    (&["courier"], "client"),
    (&["mend", "mends", "mended", "mending"], "fix, patch"),
    (&["launch", "launches", "launched"], "start"),
    (&["introducecallers"], "grantCallerRoles"),
    (&["goon", "labelapart", "inferapart"], "ContinueBatch, LabelDistributed, InferDistributed"),
    (&["design.md"], "docs/glossary.md, ARCHITECTURE.md, docs/contract.md or a decision"),
];

/// What holds one of the words and stays.
const RIGHT: [(&str, &str); 11] = [
    ("Look at the ", "a sentence of the API"),
    ("without a look into it", "a sentence of the API"),
    ("in_place", "a function of ring"),
    ("chromium.launch", "a function of Playwright"),
    ("\"PLACE\"", "a key of the table"),
    ("`PLACE`", "a key of the table"),
    ("uploads_look_at_ms", "an attribute of the table"),
    ("buried = ", "a field of the log"),
    ("look like", "a sentence of the API's reports"),
    ("looks like", "a sentence of the API's reports"),
    ("from somebody else while the job was running", "a sentence of the API's reports"),
];

/// Files that are not ours to word.
const OTHERS: [&str; 6] = [
    "tests/cases/",      // public reports, as they came
    "tests/it/golden/",  // rows and messages of earlier versions
    "tests/it/words.rs", // this file
    "infra/package-lock.json",
    "console/package-lock.json",
    "LICENSE",
];

/// Pieces of sentences that newcomers had to read twice.
const READ_TWICE: [&str; 17] = [
    "it answers the official Avala clients",
    "runs the mission's quickstart as it stands",
    "with what was made of them",
    "has failed at or not got to",
    "again with the answer's `cursor` until it is `done`",
    "accepts or discards it, an accepted one too",
    "with `If-Match` only over the version of that `ETag`",
    "with a test of each that names what is wrong",
    "for who names it",
    "checks I1 to I7 after each",
    "prints how near a job comes to that",
    "of which two thirds got a draft",
    "uploads that wait start one without a pause",
    "an item that a call has added is one as soon as its file has come",
    "so does one whose file is written over by what is no picture",
    "what counts is the version that is there",
    "where the development switch is on",
];

/// The lines of the repository's text files: file, number, text.
fn lines() -> Vec<(String, usize, String)> {
    let listed = Command::new("git").arg("ls-files").current_dir(repository("")).output().unwrap();
    let files = String::from_utf8(listed.stdout).unwrap();
    let ours = files.lines().filter(|file| !OTHERS.iter().any(|other| file.starts_with(other)));
    let read = |file: &str| Some((file.to_owned(), fs::read_to_string(repository(file)).ok()?)); // pictures are no text
    ours.filter_map(read)
        .flat_map(|(file, text)| {
            let numbered = text.lines().enumerate().map(|(n, line)| (file.clone(), n + 1, line.to_owned()));
            numbered.collect::<Vec<_>>()
        })
        .collect()
}

/// The words of a line in lower case: `snake_case` and `CamelCase` are several.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in line.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if begins || !letter.is_alphabetic() {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn riddles(line: &str) -> Vec<&'static str> {
    let lower = line.to_lowercase();
    let (words, joined) = (words(line), lower.replace('_', ""));
    let is_in = |riddle: &&&str| match **riddle {
        "design.md" => lower.contains("design.md"),
        long @ ("introducecallers" | "labelapart" | "inferapart") => joined.contains(long),
        "goon" => line.contains("GoOn"),
        word => words.iter().any(|other| other == word),
    };
    RIDDLES.iter().flat_map(|(riddles, _)| riddles.iter()).filter(is_in).copied().collect()
}

#[test]
fn words_are_read_out_of_names_and_text() {
    assert_eq!(words("fn look_again(StoodAt) // 3 Places"), ["fn", "look", "again", "stood", "at", "places"]);
    assert_eq!(riddles("let x = tellAll(placeholder);"), ["tell"]);
    assert_eq!(riddles("\"GoOn\", see design.md; overlook, replaced, in_a_place"), ["place", "goon", "design.md"]);
}

#[test]
fn every_exception_is_needed() {
    let lines = lines();
    let is_used = |piece: &str| lines.iter().any(|(_, _, line)| line.contains(piece) && !riddles(line).is_empty());
    let unused: Vec<&str> = RIGHT.iter().map(|(piece, _)| *piece).filter(|piece| !is_used(piece)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn no_word_is_a_riddle() {
    let without = |line: &str| RIGHT.iter().fold(line.to_owned(), |line, (piece, _)| line.replace(piece, ""));
    let mut complaints = Vec::new();
    for (file, number, line) in lines() {
        for riddle in riddles(&without(&line)) {
            let (_, instead) = RIDDLES.iter().find(|(riddles, _)| riddles.contains(&riddle)).unwrap();
            complaints.push(format!("{file}:{number}: \"{riddle}\"; say {instead}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n{} lines", complaints.join("\n"), complaints.len());
}

#[test]
fn no_sentence_has_to_be_read_twice() {
    let mut texts = BTreeMap::<String, Vec<String>>::new();
    for (file, _, line) in lines() {
        texts.entry(file).or_default().extend(line.split_whitespace().map(str::to_owned));
    }
    let mut found = Vec::new();
    for (file, words) in texts {
        let text = words.join(" ");
        found.extend(READ_TWICE.iter().filter(|piece| text.contains(**piece)).map(|piece| format!("{file}: {piece}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}
