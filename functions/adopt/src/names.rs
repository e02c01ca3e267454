//! The items of a project by the names of their files, for files of labels that know no folders.

use std::collections::HashMap;

use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use shared::domain::{Error, limits};
use shared::ports::{ExportItems, Slice};

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// One item.
    Item(ItemUid),
    /// Several.
    Several,
    /// None.
    Nothing,
}

/// The items of a project by the names of their files; empty if they are more than are held in memory.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, Option<(ItemUid, String)>>);

impl Names {
    /// Reads the keys of all items.
    pub(crate) async fn of(
        store: &impl ExportItems,
        organization: OrganizationUid,
        project: ProjectUid,
    ) -> Result<Self, Error> {
        let (mut names, mut after, mut count) = (HashMap::new(), None, 0);
        loop {
            let slice = Slice { after, limit: limits::EXPORT_PAGE, ascending: true, ..Slice::default() };
            let page = store.items_to_export(organization, project, false, &slice).await?;
            for item in page.entries {
                count += 1;
                let one = Some((item.asset.uid, folder(&item.key).to_owned()));
                names.entry(file_name(&item.key).to_owned()).and_modify(|one| *one = None).or_insert(one);
            }
            after = page.next;
            if count > limits::IMPORT_NAMES {
                return Ok(Self::default());
            }
            if after.is_none() {
                return Ok(Self(names));
            }
        }
    }

    /// The only item of a file name, unless its folders are others.
    pub(crate) fn find(&self, name: &str) -> Named {
        match self.0.get(file_name(name)) {
            Some(Some((uid, own))) if agree(own, folder(name)) => Named::Item(*uid),
            Some(None) => Named::Several,
            Some(Some(_)) | None => Named::Nothing,
        }
    }
}

/// What is behind the last slash, of either kind.
fn file_name(key: &str) -> &str {
    key.rsplit(['/', '\\']).next().unwrap_or(key)
}

/// What is before the last slash.
fn folder(key: &str) -> &str {
    key[..key.len() - file_name(key).len()].trim_end_matches(['/', '\\'])
}

/// Whether one path is the end of the other, part by part. An empty one is.
fn agree(one: &str, other: &str) -> bool {
    let parts =
        |path: &str| path.rsplit(['/', '\\']).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    parts(one).iter().zip(&parts(other)).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_agree_if_one_path_is_the_end_of_the_other() {
        assert!(agree("", "a/b") && agree("a/b", "b") && agree("x\\a", "x/a"));
        assert!(!agree("train", "val") && !agree("a/b", "a") && !agree("a", "b/a/c"));
        assert_eq!((folder("a/b/c.jpg"), folder("c.jpg"), folder("/c.jpg")), ("a/b", "", ""));
    }
}
