/**
 * Run-length encoding of masks, as COCO and pycocotools write it (repvit_sam/rle.py): runs down the columns, background
 * first; as text, five bits a character, from the fourth run on the difference to the run two before.
 */

import { Refusal } from './refusal.js';

/** @param {Uint8Array} mask  row by row @returns {{size: [number, number], counts: string}} size: height, width */
export function encodeRle(mask, { width, height }) {
  const runs = [];
  let [value, length] = [0, 0];
  for (let x = 0; x < width; x++) {
    for (let at = x; at < mask.length; at += width) {
      if (mask[at] !== value) {
        runs.push(length);
        [value, length] = [mask[at], 0];
      }
      length += 1;
    }
  }
  runs.push(length);
  const text = runs.map((run, index) => toText(index > 2 ? run - runs[index - 2] : run));
  return { size: [height, width], counts: text.join('') };
}

function toText(number) {
  let text = '';
  for (let rest = number, isLast = false; !isLast; ) {
    const bits = rest & 31;
    rest >>= 5;
    isLast = bits & 16 ? rest === -1 : rest === 0;
    text += String.fromCharCode(48 + bits + (isLast ? 0 : 32));
  }
  return text;
}

/**
 * @param {{size: [number, number], counts: string}} rle @param {{width: number, height: number}} photo
 * @returns {Uint8Array}
 */
export function decodeRle({ size, counts }, { width, height }) {
  const mask = new Uint8Array(width * height);
  const runs = runLengths(counts);
  const total = runs.reduce((a, b) => a + b, 0);
  if (size[0] !== height || size[1] !== width || total !== mask.length || runs.some((run) => run < 0)) {
    throw new Refusal('bad', `A mask must be RLE of ${height} x ${width} pixels (height x width).`);
  }
  let at = 0;
  runs.forEach((run, index) => {
    for (const end = at + run; at < end; at++) {
      if (index % 2) mask[(at % height) * width + Math.floor(at / height)] = 1;
    }
  });
  return mask;
}

function runLengths(counts) {
  const runs = [];
  let [value, shift] = [0, 0];
  for (const character of counts) {
    const bits = character.charCodeAt(0) - 48;
    value |= (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    if (bits & 16 && shift < 32) value |= -1 << shift;
    runs.push(value + (runs.length > 2 ? runs.at(-2) : 0));
    [value, shift] = [0, 0];
  }
  return runs;
}
