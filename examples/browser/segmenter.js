/**
 * The exported encoder and decoder in a browser, on onnxruntime-web: photo -> canvas -> embedding -> mask.
 * The rules are those of docs/deployment.md; files have to be handed out, nothing else is asked of a server.
 */

const MEAN = [123.675, 116.28, 103.53]; // RGB, on the 0..255 scale
const STD = [58.395, 57.12, 57.375];

export class Segmenter {
  /**
   * @param ort the module of onnxruntime-web
   * @param {string} folder address of what `repvit-sam export onnx` wrote, with a slash at its end
   */
  static async load(ort, folder) {
    const answer = await fetch(`${folder}manifest.json`);
    if (!answer.ok) throw new Error(`${folder}manifest.json is not there (${answer.status})`);
    const { files } = await answer.json();
    const [encoder, decoder] = [files['encoder.onnx'], files['decoder.onnx']];
    if (encoder?.inputs[0].name !== 'canvas' || !decoder || decoder.single_mask)
      throw new Error('encoder and decoder are needed, exported without --picture and --single-mask');
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

  /** Once a photo. @param {ImageData} photo upright, as a person sees it */
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
   * Once a prompt.
   * @param {{x: number, y: number, label: number}[]} points in pixels of the photo; label 1 object, 0 background
   * @param {number[]} [box] x0, y0, x1, y1 in pixels of the photo
   * @returns {Promise<{logits: Float32Array, iou: number}>} a logit a pixel, row by row, object above 0; and how good
   *   the model thinks the mask
   */
  async predict(points, box) {
    const { width, height, contentWidth, contentHeight, embedding } = this.photo;
    const rest = box
      ? [
          { x: box[0], y: box[1], label: 2 },
          { x: box[2], y: box[3], label: 3 },
        ]
      : [{ x: 0, y: 0, label: -1 }]; // without a box SAM was trained with a padding point
    const prompts = [...points, ...rest];
    const places = prompts.flatMap(({ x, y }) => [(x * contentWidth) / width, (y * contentHeight) / height]);
    const labels = prompts.map(({ label }) => label);
    const [grid, side] = [this.canvasSize / 16, this.canvasSize / 4];
    const feeds = {
      image_embeddings: this.tensor(embedding, [1, 256, grid, grid]),
      point_coords: this.tensor(places, [1, prompts.length, 2]),
      point_labels: this.tensor(labels, [1, prompts.length]),
      mask_input: this.tensor(new Float32Array(side * side), [1, 1, side, side]),
      has_mask_input: this.tensor([0], [1]),
      orig_im_size: this.tensor([height, width], [2]),
    };
    const { masks, iou_predictions } = await this.decoder.run(feeds, ['masks', 'iou_predictions']);
    const ious = iou_predictions.data;
    // the first of the four masks is for prompts that are clear; one point is not, and has the other three
    const best = box || points.length > 1 ? 0 : [1, 2, 3].reduce((a, b) => (ious[b] > ious[a] ? b : a));
    return { logits: masks.data.subarray(best * width * height, (best + 1) * width * height), iou: ious[best] };
  }

  /** Of a copy: the runtime hands its inputs over to a worker, and they are gone here. */
  tensor(numbers, shape) {
    return new this.ort.Tensor('float32', Float32Array.from(numbers), shape);
  }
}

/** RGBA pixels at another size, by Pillow's bilinear filter: as `SamPredictor` does it, and the masks follow. */
export function resize({ data, width, height }, newWidth, newHeight) {
  return resizeAndTurn(resizeAndTurn(data, width, height, newWidth), height, newWidth, newHeight);
}

/** (height, width) -> (newWidth, height): rows get their new length and become columns. */
function resizeAndTurn(pixels, width, height, newWidth) {
  const turned = new Uint8Array(newWidth * height * 4);
  const step = width / newWidth;
  const reach = Math.max(step, 1); // a triangle, wider than a pixel where the photo shrinks
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
        turned[(x * height + y) * 4 + channel] = Math.floor(sum / total + 0.5); // Pillow rounds half up, after each pass
      }
    }
  }
  return turned;
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
