/**
 * The exported encoder and decoder in a browser, on onnxruntime-web: photo -> canvas -> embedding -> mask.
 * docs/deployment.md describes each step. The server only has to serve files.
 */

const MEAN = [123.675, 116.28, 103.53]; // RGB, on the 0..255 scale
const STD = [58.395, 57.12, 57.375];

export class Segmenter {
  /**
   * @param ort the module of onnxruntime-web
   * @param {string} folder URL of the folder that `repvit-sam export onnx` wrote, with a slash at its end
   */
  static async load(ort, folder) {
    const response = await fetch(`${folder}manifest.json`);
    if (!response.ok) throw new Error(`${folder}manifest.json cannot be loaded (${response.status})`);
    const { files } = await response.json();
    const [encoder, decoder] = [files['encoder.onnx'], files['decoder.onnx']];
    if (encoder?.inputs[0].name !== 'canvas' || !decoder || decoder.single_mask)
      throw new Error('this page needs encoder and decoder, exported without --picture and --single-mask');
    return new Segmenter(
      ort,
      await ort.InferenceSession.create(`${folder}encoder.onnx`),
      await ort.InferenceSession.create(`${folder}decoder.onnx`),
      encoder.canvas,
    );
  }

  constructor(ort, encoder, decoder, canvasSize) {
    Object.assign(this, { ort, encoder, decoder, canvasSize });
  }

  /** Encode a photo, once. @param {ImageData} photo upright, as a person sees it */
  async setPhoto(photo) {
    const { width, height } = photo;
    const scale = this.canvasSize / Math.max(width, height);
    const contentWidth = Math.max(1, Math.floor(width * scale + 0.5));
    const contentHeight = Math.max(1, Math.floor(height * scale + 0.5));
    const content = resize(photo, contentWidth, contentHeight);
    const canvas = normaliseAndPad(content, contentWidth, contentHeight, this.canvasSize);
    const feeds = { canvas: this.tensor(canvas, [1, 3, this.canvasSize, this.canvasSize]) };
    const { image_embeddings } = await this.encoder.run(feeds);
    this.photo = { width, height, contentWidth, contentHeight, embedding: image_embeddings.data };
  }

  /**
   * Predict the mask of one prompt.
   * @param {{x: number, y: number, label: number}[]} points in pixels of the photo; label 1 object, 0 background
   * @param {number[]} [box] x0, y0, x1, y1 in pixels of the photo
   * @returns {Promise<{logits: Float32Array, iou: number}>} one logit for each pixel of the photo, row by row, above 0
   *   on the object; and the IoU that the model predicts
   */
  async predict(points, box) {
    const { width, height, contentWidth, contentHeight, embedding } = this.photo;
    const corners = box
      ? [
          { x: box[0], y: box[1], label: 2 },
          { x: box[2], y: box[3], label: 3 },
        ]
      : [{ x: 0, y: 0, label: -1 }]; // the padding point that SAM was trained with
    const prompts = [...points, ...corners];
    const coords = prompts.flatMap(({ x, y }) => [(x * contentWidth) / width, (y * contentHeight) / height]);
    const labels = prompts.map(({ label }) => label);
    const [grid, side] = [this.canvasSize / 16, this.canvasSize / 4];
    const feeds = {
      image_embeddings: this.tensor(embedding, [1, 256, grid, grid]),
      point_coords: this.tensor(coords, [1, prompts.length, 2]),
      point_labels: this.tensor(labels, [1, prompts.length]),
      mask_input: this.tensor(new Float32Array(side * side), [1, 1, side, side]),
      has_mask_input: this.tensor([0], [1]),
      orig_im_size: this.tensor([height, width], [2]),
    };
    const { masks, iou_predictions } = await this.decoder.run(feeds, ['masks', 'iou_predictions']);
    const ious = iou_predictions.data;
    // of the four masks the first is for a box or several points, the other three for one point, which is ambiguous
    const best = box || points.length > 1 ? 0 : [1, 2, 3].reduce((a, b) => (ious[b] > ious[a] ? b : a));
    return { logits: masks.data.subarray(best * width * height, (best + 1) * width * height), iou: ious[best] };
  }

  /** A tensor of a copy: the runtime transfers its inputs to a worker, which empties the original array. */
  tensor(numbers, shape) {
    return new this.ort.Tensor('float32', Float32Array.from(numbers), shape);
  }
}

/** RGBA pixels at another size, by Pillow's bilinear filter as in `SamPredictor`, so that the masks are the same. */
export function resize({ data, width, height }, newWidth, newHeight) {
  return resizeAndTranspose(resizeAndTranspose(data, width, height, newWidth), height, newWidth, newHeight);
}

/** (height, width) -> (newWidth, height): resizes the rows and makes them columns. */
function resizeAndTranspose(pixels, width, height, newWidth) {
  const transposed = new Uint8Array(newWidth * height * 4);
  const step = width / newWidth;
  const reach = Math.max(step, 1); // half the width of the triangle filter, over a pixel if the photo gets smaller
  for (let x = 0; x < newWidth; x++) {
    const centre = (x + 0.5) * step;
    const begin = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(width, Math.floor(centre + reach + 0.5));
    const weights = Array.from({ length: end - begin }, (_, i) =>
      Math.max(0, 1 - Math.abs(begin + i + 0.5 - centre) / reach),
    );
    const total = weights.reduce((a, b) => a + b);
    for (let y = 0; y < height; y++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * pixels[(y * width + begin + i) * 4 + channel];
        transposed[(x * height + y) * 4 + channel] = Math.floor(sum / total + 0.5); // Pillow rounds half up after each pass
      }
    }
  }
  return transposed;
}

/** RGBA pixels -> three planes of the canvas, the photo at the top left, zeros around it. */
function normaliseAndPad(pixels, width, height, side) {
  const canvas = new Float32Array(3 * side * side);
  for (let channel = 0; channel < 3; channel++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        canvas[(channel * side + y) * side + x] =
          (pixels[(y * width + x) * 4 + channel] - MEAN[channel]) / STD[channel];
  return canvas;
}
