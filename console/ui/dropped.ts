/** A file with the key that its item gets: the path below what was dropped. */
export interface Dropped {
  readonly name: string;
  readonly file: File;
}

/** What the browser did not give, by its path. */
export interface Unread {
  readonly name: string;
  /** For people. */
  readonly problem: string;
}

/** What was dropped. */
interface Found {
  readonly files: Dropped[];
  readonly unread: Unread[];
}

/** So many are named in a sentence. */
const NAMED = 5;

/** The parts of a file system's entry that are read. */
interface Entry {
  readonly name: string;
  readonly isFile: boolean;
}

/** All files that were dropped, those of folders too. One that cannot be read stops no other. */
export async function droppedFiles({ items, files }: DataTransfer): Promise<Found> {
  // Before anything is awaited: afterwards the browser has emptied the list.
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) {
    return { files: [...files].map((file) => ({ name: file.name, file })), unread: [] };
  }
  const found: Found = { files: [], unread: [] };
  for (const entry of entries) {
    await collect(entry, '', found);
  }
  return found;
}

/** Which files were not read, for people; empty if all were. */
export function unreadOf(unread: readonly Unread[]): string {
  if (unread.length === 0) {
    return '';
  }
  const named = unread.slice(0, NAMED).map(({ name, problem }) => `${name} (${problem})`);
  const more = unread.length > NAMED ? `, and ${(unread.length - NAMED).toLocaleString()} more` : '';
  return `The browser could not read ${named.join(', ')}${more}. Drop them once more.`;
}

/** Files whose names begin with a dot are the system's own, such as `.DS_Store`. */
async function collect(entry: Entry, folder: string, found: Found): Promise<void> {
  const name = `${folder}${entry.name}`;
  if (entry.isFile && entry.name.startsWith('.')) {
    return;
  }
  try {
    if (entry.isFile) {
      found.files.push({ name, file: await fileOf(entry as FileSystemFileEntry) });
    } else {
      await collectAll(entry as FileSystemDirectoryEntry, name, found);
    }
  } catch (error) {
    found.unread.push({ name, problem: error instanceof Error ? error.message : String(error) });
  }
}

async function collectAll(entry: FileSystemDirectoryEntry, name: string, found: Found): Promise<void> {
  const reader = entry.createReader();
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
