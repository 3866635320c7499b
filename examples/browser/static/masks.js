/**
 * Low-resolution logits -> masks, as repvit_sam/masks.py makes them. A mask is a Uint8Array with 1 on the object, row by
 * row; a size is {width, height} in pixels.
 */

import { withLongSide } from './canvas.js';

const VIEW_SIDE = 1024; // pixels of a mask's long side on the screen: four times the decoder's

/** The size of a photo's masks on the screen. */
export const viewSize = (fit) =>
  Math.max(fit.width, fit.height) > VIEW_SIDE ? withLongSide(fit, VIEW_SIDE) : { width: fit.width, height: fit.height };

/**
 * Both of SAM's bilinear steps in one: logits -> canvas, cut to the photo -> ``size``.
 * @param {Float32Array} logits  side x side @param {import('./canvas.js').Fit} fit
 * @returns {Uint8Array}
 */
export function resizeMask(logits, side, fit, { width, height }) {
  const across = tapsOf(side, fit.canvasSize, fit.contentWidth, width);
  const down = tapsOf(side, fit.canvasSize, fit.contentHeight, height);
  const wide = new Float32Array(side * width);
  const hasObject = new Uint8Array(side); // rows of logits with one above the threshold
  for (let row = 0; row < side; row++) {
    const line = logits.subarray(row * side, (row + 1) * side);
    hasObject[row] = Number(line.some((logit) => logit > 0));
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let tap = 4 * x; tap < 4 * x + 4; tap++) sum += line[across.index[tap]] * across.weight[tap];
      wide[row * width + x] = sum;
    }
  }
  const mask = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const [a, b, c, d] = down.index.subarray(4 * y, 4 * y + 4);
    if (!hasObject[a] && !hasObject[b] && !hasObject[c] && !hasObject[d]) continue;
    const [p, q, r, s] = down.weight.subarray(4 * y, 4 * y + 4);
    for (let x = 0; x < width; x++) {
      const sum = wide[a * width + x] * p + wide[b * width + x] * q + wide[c * width + x] * r + wide[d * width + x] * s;
      if (sum > 0) mask[y * width + x] = 1;
    }
  }
  return mask;
}

/** For each new position along one side the four logits that it depends on, and their weights. */
function tapsOf(side, canvas, content, size) {
  const onCanvas = neighbours(side, canvas);
  const [index, weight] = [new Int32Array(4 * size), new Float32Array(4 * size)];
  neighbours(content, size).forEach(({ first, second, distance }, position) => {
    const [near, far] = [onCanvas[first], onCanvas[second]];
    index.set([near.first, near.second, far.first, far.second], 4 * position);
    weight.set(
      [
        (1 - distance) * (1 - near.distance),
        (1 - distance) * near.distance,
        distance * (1 - far.distance),
        distance * far.distance,
      ],
      4 * position,
    );
  });
  return { index, weight };
}

/** Bilinear, no aligned corners: the two old positions around each new one, and its distance to the first. */
const neighbours = (oldSize, newSize) =>
  Array.from({ length: newSize }, (_, at) => {
    const position = Math.max((oldSize / newSize) * (at + 0.5) - 0.5, 0);
    const first = Math.min(Math.trunc(position), oldSize - 1);
    return { first, second: Math.min(first + 1, oldSize - 1), distance: Math.min(position - first, 1) };
  });

/** COCO's box (x, y, width, height) and the area in pixels; zeros for an empty mask. @param {Uint8Array} mask */
export function boxOf(mask, { width, height }) {
  let [x0, y0, x1, y1, area] = [width, height, 0, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!mask[y * width + x]) continue;
      area += 1;
      if (x < x0) x0 = x;
      if (x >= x1) x1 = x + 1;
      if (y < y0) y0 = y;
      y1 = y + 1;
    }
  }
  return { area, bbox: area ? [x0, y0, x1 - x0, y1 - y0] : [0, 0, 0, 0] };
}

/**
 * Paint a mask: ``inside`` and ``outside`` are colours as RGBA bytes in a little-endian number, 0xAABBGGRR.
 * @returns {OffscreenCanvas}
 */
export function paint(mask, { width, height }, inside = 0xffffffff, outside = 0) {
  const canvas = new OffscreenCanvas(width, height);
  const picture = new ImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let at = 0; at < mask.length; at++) pixels[at] = mask[at] ? inside : outside;
  canvas.getContext('2d').putImageData(picture, 0, 0);
  return canvas;
}

/** A PNG, white on the object and transparent elsewhere, as the page takes masks. @returns {Promise<string>} */
export async function toDataUrl(mask, size) {
  return new FileReaderSync().readAsDataURL(await paint(mask, size).convertToBlob());
}
