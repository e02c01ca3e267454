import { loadPicture } from '../editor/picture.ts';

const COLORS = { red: [255, 0, 0], green: [0, 255, 0], blue: [0, 0, 255], white: [255, 255, 255] } as const;
const [WIDTH, HEIGHT] = [64, 32];

/** A JPEG with a color in each corner as it is stored, red, green, blue and white, and this EXIF orientation. */
async function stored(orientation: number): Promise<Blob> {
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext('2d')!;
  Object.values(COLORS).forEach(([red, green, blue], at) => {
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(((at % 2) * WIDTH) / 2, (Math.floor(at / 2) * HEIGHT) / 2, WIDTH / 2, HEIGHT / 2);
  });
  const file = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/jpeg', quality: 1 })).arrayBuffer());
  // One directory in big-endian with one entry: tag 0x0112, type 3 (short), 1 value.
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const exif = [0x45, 0x78, 0x69, 0x66, 0, 0, ...tiff];
  const segment = Uint8Array.from([0xff, 0xe1, 0, exif.length + 2, ...exif]);
  return new Blob([file.slice(0, 2), segment, file.slice(2)], { type: 'image/jpeg' });
}

/** Width, height and the colors of the corners (from the top left, row by row) of the picture that the editor draws. */
export async function upright(orientation: number): Promise<string> {
  const address = URL.createObjectURL(await stored(orientation));
  const { width, height, levels } = await loadPicture(address);
  URL.revokeObjectURL(address);
  const context = new OffscreenCanvas(width, height).getContext('2d')!;
  context.drawImage(levels[0]!, 0, 0);
  const corners = [0.25, 0.75].flatMap((y) =>
    [0.25, 0.75].map((x) => nameAt(context, Math.floor(x * width), Math.floor(y * height))),
  );
  return `${width}x${height} ${corners.join(' ')}`;
}

function nameAt(context: OffscreenCanvasRenderingContext2D, x: number, y: number): string {
  const { data } = context.getImageData(x, y, 1, 1);
  const found = Object.entries(COLORS).find(([, color]) => color.every((channel, at) => Math.abs(channel - data[at]!) < 64));
  return found?.[0] ?? 'none';
}
