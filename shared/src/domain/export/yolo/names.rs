//! The paths of pictures and of their labels in a YOLO data set.
//!
//! Ultralytics reads the labels of `images/train/a/b.jpg` from `labels/train/a/b.txt`: it exchanges the last folder of the name `images`,
//! and what is behind the last dot. So `b.jpg` and `b.png` would share a file, and a folder `images` in a key would lead to another one.
//! A path is a function of its key alone, and no two keys have one: a key that is kept as it is does not look like one that was changed.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::domain::export::selection::Split;

/// What a changed name has before its extension, and then the extension or a digest.
const MARK: char = '~';
/// Hexadecimal digits of a digest in a name.
const DIGEST: usize = 16;
/// The longest name of a file or folder that every file system takes is 255 bytes. The mark and the extension need some.
const PART_BYTES: usize = 200;
/// What Ultralytics takes for a picture.
const READABLE: [&str; 11] = ["bmp", "dng", "heic", "jpeg", "jpg", "mpo", "pfm", "png", "tif", "tiff", "webp"];
/// Names that Windows keeps for devices.
const DEVICES: [&str; 4] = ["aux", "con", "nul", "prn"];
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// The paths of a picture in the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paths {
    /// Of the picture.
    pub(super) image: String,
    /// Of its labels.
    pub(super) labels: String,
}

impl Paths {
    /// The paths of an item of this name. `usual`: the extension of most pictures, whose names are kept.
    pub(super) fn of(name: &str, split: Option<Split>, usual: Option<&str>) -> Self {
        let (stem, extension) = safe(name, usual);
        let part = folder(split);
        Self { image: format!("images/{part}/{stem}.{extension}"), labels: format!("labels/{part}/{stem}.txt") }
    }
}

/// The name of an item in a data set without folders, of which Ultralytics makes the name of its labels.
pub(in crate::domain::export) fn flat(name: &str, usual: Option<&str>) -> String {
    let (stem, extension) = safe(name, usual);
    match stem.rsplit_once('/') {
        Some((_, last)) => {
            let last = last.split(MARK).next().unwrap_or(last);
            format!("{last}{MARK}{}.{extension}", digest(name))
        }
        None => format!("{stem}.{extension}"),
    }
}

/// The folder of a part of the data set. Without parts all of it is to train with.
pub(super) const fn folder(split: Option<Split>) -> &'static str {
    match split {
        Some(Split::Val) => "val",
        Some(Split::Test) => "test",
        Some(Split::Train) | None => "train",
    }
}

/// The extension of a picture's name, as it is written; `None`: it has none that is a picture's.
pub(super) fn extension(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit('/').next()?.rsplit_once('.')?;
    let is_readable = READABLE.iter().any(|readable| readable.eq_ignore_ascii_case(extension));
    (is_readable && !stem.is_empty()).then_some(extension)
}

/// The path without its extension, and the extension.
fn safe<'a>(name: &'a str, usual: Option<&str>) -> (String, &'a str) {
    let extension = extension(name);
    let stem = extension.map_or(name, |extension| &name[..name.len() - extension.len() - 1]);
    let parts: Vec<Cow<'_, str>> = stem.split('/').map(safe_part).collect();
    let is_kept = extension.is_some() && parts.iter().all(|part| matches!(part, Cow::Borrowed(_)));
    let stem = parts.join("/");
    match extension {
        Some(extension) if is_kept && !looks_changed(&stem) && usual == Some(extension) => (stem, extension),
        Some(extension) if is_kept && !looks_changed(&stem) => (format!("{stem}{MARK}{extension}"), extension),
        _ => (format!("{stem}{MARK}{}", digest(name)), extension.unwrap_or("jpg")),
    }
}

fn digest(name: &str) -> String {
    hex::encode(&Sha256::digest(name.as_bytes())[..DIGEST / 2])
}

/// Whether a stem could be that of a changed name.
fn looks_changed(stem: &str) -> bool {
    let Some((_, end)) = stem.rsplit_once(MARK) else { return false };
    let is_digest = end.len() == DIGEST && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest || READABLE.iter().any(|readable| readable.eq_ignore_ascii_case(end))
}

/// The name of a folder or file that is one on every system; borrowed if nothing was changed.
fn safe_part(part: &str) -> Cow<'_, str> {
    let is_bad = |c: char| c.is_control() || r#"\<>:"|?*"#.contains(c);
    let is_whole = !part.ends_with(['.', ' ']) && part.len() <= PART_BYTES && !part.contains(is_bad);
    if is_whole && !part.is_empty() && part != "images" && !is_device(part) {
        return Cow::Borrowed(part);
    }
    let mut safe = part.replace(is_bad, "_");
    safe.truncate(safe.floor_char_boundary(PART_BYTES));
    Cow::Owned(format!("{}_", safe.trim_end_matches(['.', ' '])))
}

fn is_device(part: &str) -> bool {
    let base = part.split('.').next().unwrap_or(part).to_ascii_lowercase();
    let numbered =
        |device: &&str| base.strip_prefix(*device).is_some_and(|rest| matches!(rest.as_bytes(), [b'1'..=b'9']));
    DEVICES.contains(&base.as_str()) || NUMBERED_DEVICES.iter().any(numbered)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn image(name: &str) -> String {
        Paths::of(name, None, Some("jpg")).image
    }

    #[test]
    fn a_plain_name_is_kept_with_its_folders() {
        for name in ["a.jpg", "a/1.jpg", "b/1.jpg", "ü x 😀.jpg", "a.b/c.d.jpg", "a~b.jpg"] {
            assert_eq!(image(name), format!("images/train/{name}"));
        }
        let of = |split| Paths::of("a/1.jpg", Some(split), Some("jpg"));
        assert_eq!(
            (of(Split::Val).labels.as_str(), of(Split::Test).image.as_str()),
            ("labels/val/a/1.txt", "images/test/a/1.jpg")
        );
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_or_share_a_file_is_changed() {
        assert_eq!(image("a.png"), "images/train/a~png.png");
        assert_eq!(image("a.JPG"), "images/train/a~JPG.JPG");
        for (name, begins) in [
            ("../a.jpg", "images/train/_/a~"),
            ("/a.jpg", "images/train/_/a~"),
            ("x/images/a.jpg", "images/train/x/images_/a~"),
            ("a\\b.jpg", "images/train/a_b_~"),
            ("nul.jpg", "images/train/nul_~"),
            ("com1.jpg", "images/train/com1_~"),
            ("a", "images/train/a~"),
            ("a.gif", "images/train/a.gif~"),
            (".jpg", "images/train/.jpg~"),
            ("a~png.jpg", "images/train/a~png~"),
        ] {
            let image = image(name);
            assert!(image.starts_with(begins) && image.ends_with(".jpg"), "{name}: {image}");
        }
    }

    /// The path of the labels, as Ultralytics makes it of a picture's.
    fn derived(image: &str) -> String {
        let (before, behind) =
            format!("/{image}").rsplit_once("/images/").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let labels = format!("{before}/labels/{behind}");
        format!("{}.txt", labels[1..].rsplit_once('.').unwrap().0)
    }

    proptest! {
        #[test]
        fn no_two_names_share_a_path_and_labels_are_where_they_are_looked_for(
            names in prop::collection::hash_set("([a.~/\\\\ü]|images|jpg|png|~png|[.]jpg|[.]png|[.]JPG){1,6}", 1..40)
        ) {
            let mut seen = HashMap::new();
            for name in &names {
                let paths = Paths::of(name, None, Some("jpg"));
                prop_assert_eq!(derived(&paths.image), paths.labels.clone());
                prop_assert!(Path::new(&paths.image).components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert!(!paths.image.contains("//") && !paths.image.contains('\\'));
                prop_assert_eq!(seen.insert(paths.labels, name), None);
            }
        }
    }
}
