/**
 * The exported encoder and decoder on onnxruntime-web: photo -> canvas -> embedding -> low-resolution logits -> mask.
 * docs/deployment.md describes each step. With canvas.js and masks.js it works in any page of your own.
 */

import { fitPhoto, toCanvas } from './canvas.js';
import { resizeMask } from './masks.js';

const PADDING = [0, 0, -1]; // x, y, label of the point that SAM was trained with where there is no box

export class Segmenter {
  /**
   * @param {any} ort  the module of onnxruntime-web
   * @param {any} encoder @param {any} decoder  its sessions @param {number} canvasSize  pixels
   */
  constructor(ort, encoder, decoder, canvasSize) {
    Object.assign(this, { ort, encoder, decoder, canvasSize });
  }

  /**
   * Encode a photo, once.
   * @param {ImageData} pixels  upright, as a person sees it
   * @returns {Promise<{embedding: any, fit: import('./canvas.js').Fit}>}
   */
  async encode(pixels) {
    const fit = fitPhoto(pixels, this.canvasSize);
    const side = this.canvasSize;
    const canvas = this.tensor(toCanvas(pixels, fit), [1, 3, side, side]);
    const { image_embeddings: embedding } = await this.encoder.run({ canvas });
    return { embedding, fit };
  }

  /**
   * Decode one prompt.
   * @param {{embedding: any, fit: import('./canvas.js').Fit}} photo  from encode
   * @param {{points: [number, number, number][], box: number[] | null}} prompts  x, y, label (1 object, 0 background)
   *   and two opposite corners, in photo pixels
   * @param {Float32Array | null} maskInput  logits of an earlier prediction
   * @returns {Promise<{logits: Float32Array[], ious: number[]}>}  four of each: the single mask, then the three for an
   *   ambiguous prompt; canvasSize / 4 squared logits, above 0 on the object
   */
  async decode({ embedding, fit }, { points, box }, maskInput = null) {
    const [scaleX, scaleY] = [fit.contentWidth / fit.width, fit.contentHeight / fit.height];
    const rest = box ? cornersOf(box) : [PADDING];
    const labelled = [...points, ...rest];
    const coords = labelled.flatMap(([x, y]) => [x * scaleX, y * scaleY]);
    const labels = labelled.map(([, , label]) => label);
    const side = this.canvasSize / 4;
    const { low_res_masks, iou_predictions } = await this.decoder.run({
      image_embeddings: embedding,
      point_coords: this.tensor(coords, [1, labelled.length, 2]),
      point_labels: this.tensor(labels, [1, labelled.length]),
      mask_input: this.tensor(maskInput ?? new Float32Array(side * side), [1, 1, side, side]),
      has_mask_input: this.tensor([maskInput ? 1 : 0], [1]),
    });
    return {
      logits: [0, 1, 2, 3].map((index) => low_res_masks.data.slice(index * side * side, (index + 1) * side * side)),
      ious: [...iou_predictions.data],
    };
  }

  /** A mask of the photo's shape at any size. @returns {Uint8Array} 1 on the object, row by row */
  mask(logits, fit, size) {
    return resizeMask(logits, this.canvasSize / 4, fit, size);
  }

  tensor(numbers, shape) {
    return new this.ort.Tensor('float32', Float32Array.from(numbers), shape);
  }
}

/** A box as two points: top left has the label 2, bottom right 3. */
const cornersOf = ([xa, ya, xb, yb]) => [
  [Math.min(xa, xb), Math.min(ya, yb), 2],
  [Math.max(xa, xb), Math.max(ya, yb), 3],
];
