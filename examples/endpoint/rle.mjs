/**
 * COCO run-length encoding of a mask.
 *
 * Pixels are counted column by column; the runs alternate and begin with background. Each run is written as the
 * difference to the run two before it (from the fourth on), in groups of five bits, lowest first, 48 added to each:
 * bit 6 says that another group follows, and the last group carries the sign.
 */

/**
 * @param {Uint8Array} pixels row by row; not zero is foreground
 * @param {number} height
 * @param {number} width
 * @returns {import('./types.mjs').Mask}
 */
export function encodeMask(pixels, height, width) {
    return { format: 'coco_rle', size: [height, width], counts: compress(runsOf(pixels, height, width)) };
}

/**
 * @param {Uint8Array} pixels
 * @param {number} height
 * @param {number} width
 */
export function runsOf(pixels, height, width) {
    const runs = [];
    let [foreground, length] = [false, 0];
    for (let column = 0; column < width; column += 1) {
        for (let row = 0; row < height; row += 1) {
            if ((pixels[row * width + column] !== 0) !== foreground) {
                runs.push(length);
                [foreground, length] = [!foreground, 0];
            }
            length += 1;
        }
    }
    runs.push(length);
    return runs;
}

/** @param {number[]} runs */
export function compress(runs) {
    let text = '';
    runs.forEach((run, index) => {
        let rest = index > 2 ? run - runs[index - 2] : run;
        for (let more = true; more; ) {
            let group = rest & 0x1f;
            rest >>= 5;
            more = (group & 0x10) === 0 ? rest !== 0 : rest !== -1;
            if (more) group |= 0x20;
            text += String.fromCharCode(group + 48);
        }
    });
    return text;
}
