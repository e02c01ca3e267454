import type { Picture } from './renderer.ts';

/** Halves of a picture are made down to this many pixels on the longer side. */
const SMALLEST_LEVEL = 512;

/** Why a picture cannot be shown. The message is for people. */
export class PictureError extends Error {
  /** The address has expired: the item gives another one. */
  readonly expired: boolean;

  constructor(message: string, expired = false) {
    super(message);
    this.name = 'PictureError';
    this.expired = expired;
  }
}

/** Fetches a picture and decodes it upright, its EXIF orientation applied. Always by fetch: see decision 0037. */
export async function loadPicture(url: string, signal?: AbortSignal): Promise<Picture> {
  const blob = await blobOf(url, signal);
  const whole = await createImageBitmap(blob).catch(() => {
    throw new PictureError('The file is no picture that the browser can read.');
  });
  const levels = [whole];
  for (let factor = 2; Math.max(whole.width, whole.height) / factor >= SMALLEST_LEVEL; factor *= 2) {
    const [resizeWidth, resizeHeight] = [Math.ceil(whole.width / factor), Math.ceil(whole.height / factor)];
    levels.push(await createImageBitmap(levels.at(-1) ?? whole, { resizeWidth, resizeHeight, resizeQuality: 'medium' }));
  }
  return { width: whole.width, height: whole.height, levels };
}

async function blobOf(url: string, signal?: AbortSignal): Promise<Blob> {
  const answer = await fetch(url, { credentials: 'omit', ...(signal ? { signal } : {}) }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') {
      throw error;
    }
    const { host } = new URL(url);
    throw new PictureError(
      `${host} does not let this page read the picture, is no host that the deployment lists for it, or cannot be reached.`,
    );
  });
  if (!answer.ok) {
    throw new PictureError(`The picture's server answers ${answer.status}.`, answer.status === 403);
  }
  return answer.blob();
}

/** Gives back the memory of a picture. */
export function release(picture: Picture): void {
  for (const level of picture.levels) {
    if (level instanceof ImageBitmap) {
      level.close();
    }
  }
}
