/**
 * Photo -> canvas, as repvit_sam/canvas.py does it: resized by Pillow's bilinear filter, to the bit, normalised, and
 * padded with zeros right and below.
 *
 * @typedef {{width: number, height: number, contentWidth: number, contentHeight: number, canvasSize: number}} Fit
 *   width, height: of the photo; content: the part of the canvas that shows it. All in pixels.
 */

const MEAN = [123.675, 116.28, 103.53]; // RGB, on the 0..255 scale
const STD = [58.395, 57.12, 57.375];
const BITS = 22; // of Pillow's fixed-point weights

/** A size with this long side. @returns {{width: number, height: number}} */
export function withLongSide({ width, height }, longSide) {
  const scale = longSide / Math.max(width, height);
  const side = (pixels) => Math.max(1, Math.floor(pixels * scale + 0.5));
  return { width: side(width), height: side(height) };
}

/** @param {{width: number, height: number}} photo @returns {Fit} */
export function fitPhoto({ width, height }, canvasSize) {
  const content = withLongSide({ width, height }, canvasSize);
  return { width, height, contentWidth: content.width, contentHeight: content.height, canvasSize };
}

/** @param {ImageData} photo @param {Fit} fit @returns {Float32Array} three planes, red, green, blue */
export function toCanvas(photo, { contentWidth, contentHeight, canvasSize }) {
  const content = resizeRows(resizeColumns(photo, contentWidth), contentHeight).data;
  const canvas = new Float32Array(3 * canvasSize * canvasSize);
  for (let channel = 0; channel < 3; channel++) {
    const values = Float32Array.from({ length: 256 }, (_, level) => (level - MEAN[channel]) / STD[channel]);
    for (let y = 0; y < contentHeight; y++) {
      const start = (channel * canvasSize + y) * canvasSize;
      for (let x = 0; x < contentWidth; x++) {
        canvas[start + x] = values[content[(y * contentWidth + x) * 4 + channel]];
      }
    }
  }
  return canvas;
}

/** Pillow's triangle filter for one side: for each new position the first old one, and the weights from there on. */
function filterOf(oldSize, newSize) {
  const step = oldSize / newSize;
  const reach = Math.max(step, 1); // half the filter's width
  return Array.from({ length: newSize }, (_, position) => {
    const centre = (position + 0.5) * step;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(oldSize, Math.trunc(centre + reach + 0.5));
    const shares = Array.from({ length: last - first }, (_, tap) =>
      Math.max(0, 1 - Math.abs((first + tap - centre + 0.5) / reach)),
    );
    const total = shares.reduce((a, b) => a + b);
    return { first, weights: Int32Array.from(shares, (share) => Math.trunc(0.5 + (share / total) * 2 ** BITS)) };
  });
}

const HALF = 1 << (BITS - 1);

/** RGBA pixels at another width. */
function resizeColumns({ data, width, height }, newWidth) {
  if (width === newWidth) return { data, width, height };
  const resized = new Uint8ClampedArray(newWidth * height * 4);
  const filter = filterOf(width, newWidth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const { first, weights } = filter[x];
      let [red, green, blue] = [HALF, HALF, HALF];
      let from = (y * width + first) * 4;
      for (let tap = 0; tap < weights.length; tap++, from += 4) {
        red += data[from] * weights[tap];
        green += data[from + 1] * weights[tap];
        blue += data[from + 2] * weights[tap];
      }
      const to = (y * newWidth + x) * 4;
      resized[to] = red >> BITS;
      resized[to + 1] = green >> BITS;
      resized[to + 2] = blue >> BITS;
    }
  }
  return { data: resized, width: newWidth, height };
}

/** RGBA pixels at another height. */
function resizeRows({ data, width, height }, newHeight) {
  if (height === newHeight) return { data, width, height };
  const resized = new Uint8ClampedArray(width * newHeight * 4);
  const stride = width * 4;
  for (const [y, { first, weights }] of filterOf(height, newHeight).entries()) {
    for (let x = 0; x < stride; x++) {
      let sum = HALF;
      for (let tap = 0; tap < weights.length; tap++) sum += data[(first + tap) * stride + x] * weights[tap];
      resized[y * stride + x] = sum >> BITS;
    }
  }
  return { data: resized, width, height: newHeight };
}
