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
pub(crate) struct Names(HashMap<String, Option<ItemUid>>);

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
                let uid = item.asset.uid;
                names.entry(file_name(&item.key).to_owned()).and_modify(|one| *one = None).or_insert(Some(uid));
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

    /// The item of a file name, whatever its folder.
    pub(crate) fn find(&self, name: &str) -> Named {
        match self.0.get(file_name(name)) {
            Some(Some(uid)) => Named::Item(*uid),
            Some(None) => Named::Several,
            None => Named::Nothing,
        }
    }
}

/// What is behind the last slash, of either kind.
fn file_name(key: &str) -> &str {
    key.rsplit(['/', '\\']).next().unwrap_or(key)
}
