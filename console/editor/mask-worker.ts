import { rasterOf } from './masks.ts';

/** A mask to decode. */
export interface Wanted {
  readonly id: number;
  readonly counts: string;
  readonly size: readonly number[];
  readonly color: readonly [number, number, number];
}

interface Port {
  onmessage: ((event: MessageEvent<Wanted>) => void) | null;
  postMessage(message: unknown, transfer?: Transferable[]): void;
}

const port = globalThis as unknown as Port;

port.onmessage = ({ data: { id, counts, size, color } }) => {
  void (async () => {
    try {
      const { ends, height, bounds, pixels, width, rows } = rasterOf(counts, size, color);
      // An empty mask has no pixel; a bitmap must have one.
      const image = width * rows > 0 ? new ImageData(pixels, width, rows) : new ImageData(1, 1);
      const bitmap = await createImageBitmap(image);
      port.postMessage({ id, mask: { ends, height, bounds, bitmap } }, [ends.buffer, bitmap]);
    } catch (error) {
      port.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
    }
  })();
};
