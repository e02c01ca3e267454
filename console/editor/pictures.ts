import { loadPicture, release } from './picture.ts';
import type { Picture } from './renderer.ts';

/** Decoded pictures that are kept: the one that is shown, and those that are likely next. One of 12 megapixels takes 64 MB. */
const KEPT = 4;

/** The last pictures by item and version, not by address: the address of the same file changes each time. */
export class Pictures {
  readonly #load: (url: string) => Promise<Picture>;
  readonly #kept = new Map<string, Promise<Picture>>();

  constructor(load: (url: string) => Promise<Picture> = loadPicture) {
    this.#load = load;
  }

  get(name: string, url: string): Promise<Picture> {
    const picture = this.#kept.get(name) ?? this.#load(url);
    this.#kept.delete(name);
    this.#kept.set(name, picture);
    picture.catch(() => this.#kept.delete(name));
    for (const [oldest, old] of this.#kept) {
      if (this.#kept.size <= KEPT) {
        break;
      }
      this.#kept.delete(oldest);
      old.then(release, () => undefined);
    }
    return picture;
  }
}
