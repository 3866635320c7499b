/** Layers -> files to download: mask, cut-out, COCO JSON, as app/downloads.py makes them. */

import { boxOf, paint } from './masks.js';
import { decode } from './photos.js';
import { Refusal } from './refusal.js';
import { decodeRle } from './rle.js';

const [WHITE, BLACK] = [0xffffffff, 0xff000000];

/**
 * @param {{name: string, file: Blob, fit: import('./canvas.js').Fit}} photo
 * @param {{kind: string, layers: {name: string, rle: any}[], full_size: boolean, feather: number}} request
 * @returns {Promise<{name: string, mime: string, data: string}>}  data: base64
 */
export async function makeFile(photo, { kind, layers, full_size: isFullSize, feather }) {
  const stem = photo.name.replace(/\.[^.]+$/, '') || 'photo';
  if (kind === 'coco') {
    const text = JSON.stringify(cocoDataset(photo, layers), null, 1);
    return toFile(`${stem}_coco.json`, new Blob([text], { type: 'application/json' }));
  }
  const mask = unionOf(layers, photo.fit);
  if (kind === 'mask') return toFile(`${stem}_mask.png`, await paint(mask, photo.fit, WHITE, BLACK).convertToBlob());
  if (kind === 'cutout') {
    const picture = await cutOut(photo, mask, feather);
    const shown = isFullSize ? picture : cropTo(picture, boxOf(mask, photo.fit).bbox, feather);
    return toFile(`${stem}_cutout.png`, await shown.convertToBlob());
  }
  throw new Refusal('bad', `This page makes mask, cutout and coco, not ${kind}.`);
}

const toFile = (name, blob) => ({
  name,
  mime: blob.type,
  data: new FileReaderSync().readAsDataURL(blob).split(',')[1],
});

function unionOf(layers, size) {
  const union = new Uint8Array(size.width * size.height);
  for (const { rle } of layers) {
    const mask = decodeRle(rle, size);
    for (let at = 0; at < mask.length; at++) union[at] |= mask[at];
  }
  return union;
}

/** COCO's detection format: one image, a category for each name. */
function cocoDataset({ name, fit }, layers) {
  const names = [...new Set(layers.map((layer) => layer.name))];
  return {
    info: { description: 'made with RepViT-SAM' },
    images: [{ id: 1, file_name: name, height: fit.height, width: fit.width }],
    categories: names.map((category, index) => ({ id: index + 1, name: category })),
    annotations: layers.map((layer, index) => ({
      id: index + 1,
      image_id: 1,
      category_id: names.indexOf(layer.name) + 1,
      segmentation: layer.rle,
      ...boxOf(decodeRle(layer.rle, fit), fit),
      iscrowd: 0,
    })),
  };
}

/** The object alone. @param {number} feather  pixels over which the edge fades @returns {Promise<OffscreenCanvas>} */
async function cutOut({ name, file, fit }, mask, feather) {
  const canvas = new OffscreenCanvas(fit.width, fit.height);
  const context = canvas.getContext('2d');
  if (feather && !('filter' in context)) {
    throw new Refusal('bad', 'This browser cannot soften an edge; set the soft edge to 0.');
  }
  if (feather) context.filter = `blur(${feather / 2}px)`;
  context.drawImage(paint(mask, fit), 0, 0);
  context.filter = 'none';
  context.globalCompositeOperation = 'source-in';
  const picture = await decode(name, file, Number.POSITIVE_INFINITY);
  context.drawImage(picture, 0, 0);
  picture.close();
  return canvas;
}

function cropTo(canvas, [x, y, width, height], margin) {
  if (!width) return canvas;
  const [left, top] = [Math.max(0, x - margin), Math.max(0, y - margin)];
  const right = Math.min(canvas.width, x + width + margin);
  const bottom = Math.min(canvas.height, y + height + margin);
  const cropped = new OffscreenCanvas(right - left, bottom - top);
  cropped.getContext('2d').drawImage(canvas, -left, -top);
  return cropped;
}
