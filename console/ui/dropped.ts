/** A file with the key that its item gets: the path below what was dropped. */
export interface Dropped {
  readonly name: string;
  readonly file: File;
}

/** The parts of a file system's entry that are read. */
interface Entry {
  readonly name: string;
  readonly isFile: boolean;
}

/** All files that were dropped, those of folders too. */
export async function droppedFiles({ items, files }: DataTransfer): Promise<Dropped[]> {
  // Before anything is awaited: afterwards the browser has emptied the list.
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) {
    return [...files].map((file) => ({ name: file.name, file }));
  }
  const found: Dropped[] = [];
  for (const entry of entries) {
    await collect(entry, '', found);
  }
  return found;
}

/** Files whose names begin with a dot are the system's own, such as `.DS_Store`. */
async function collect(entry: Entry, folder: string, found: Dropped[]): Promise<void> {
  const name = `${folder}${entry.name}`;
  if (entry.isFile) {
    if (!entry.name.startsWith('.')) {
      found.push({ name, file: await fileOf(entry as FileSystemFileEntry) });
    }
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A call gives some of them; the last one gives none.
  for (let some = await entriesOf(reader); some.length > 0; some = await entriesOf(reader)) {
    for (const inner of some) {
      await collect(inner, `${name}/`, found);
    }
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => {
    entry.file(resolve, reject);
  });
}

function entriesOf(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => {
    reader.readEntries(resolve, reject);
  });
}
