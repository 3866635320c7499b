/** The open photos: files -> pixels -> embeddings. */

import { withLongSide } from './canvas.js';
import { Refusal } from './refusal.js';

const KEPT = 3; // photos; an embedding has 4 MB. The page sends one that is gone again
const VIEW_SIDE = 2048; // pixels of the photo's long side on the screen, for zooming
const EXAMPLE = 'example-'; // an example's token is this and its name

/** @param {any} site  site.json @param {import('./segmenter.js').Segmenter} segmenter */
export function makePhotos({ about, examples }, segmenter) {
  /** @type {Map<string, any>} by token, the newest last */
  const open = new Map();

  /** @param {string} name @param {Blob} file @param {string} [token] */
  async function openPhoto(name, file, token = crypto.randomUUID()) {
    const picture = await decode(name, file, about.max_pixels);
    const { width, height } = picture;
    const pixels = draw(picture, picture);
    const started = performance.now();
    const encoded = await segmenter.encode(pixels.getImageData(0, 0, width, height));
    const encodeMs = performance.now() - started;
    const size = Math.max(width, height) > VIEW_SIDE ? withLongSide(picture, VIEW_SIDE) : picture;
    const view = await draw(picture, size).canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
    picture.close();
    const answer = { photo: token, name, width, height, checkpoint: about.checkpoint };
    remember({ token, name, file, ...encoded, answer: { ...answer, view: URL.createObjectURL(view) } });
    return { ...open.get(token).answer, encode_ms: encodeMs };
  }

  function remember(photo) {
    URL.revokeObjectURL(open.get(photo.token)?.answer.view);
    open.delete(photo.token);
    open.set(photo.token, photo);
    if (open.size <= KEPT) return;
    const [token, { answer }] = open.entries().next().value;
    URL.revokeObjectURL(answer.view);
    open.delete(token);
  }

  async function openExample(name) {
    const token = EXAMPLE + name;
    if (open.has(token)) return { ...open.get(token).answer, encode_ms: 0 };
    const example = examples.find((one) => one.name === name);
    if (!example) throw new Refusal('bad', `There is no example ${name}.`);
    const response = await fetch(example.photo).catch(() => null);
    if (!response?.ok) throw new Refusal('bad', `The example ${name} cannot be loaded; is there a connection?`);
    return openPhoto(example.photo.split('/').at(-1), await response.blob(), token);
  }

  return {
    open: openPhoto,
    openExample,
    /** After a reload: an example again; a file is no longer here. @param {string} token */
    resume: (token) => {
      if (token.startsWith(EXAMPLE)) return openExample(token.slice(EXAMPLE.length));
      throw new Refusal('bad', 'The page was loaded again; open the file again.');
    },
    get(token) {
      const photo = open.get(token);
      if (!photo) throw new Refusal('gone', 'The page no longer has this photo; open it again.');
      return photo;
    },
  };
}

/** A file as a person sees it: upright, in the file's own colours. @returns {Promise<ImageBitmap>} */
export async function decode(name, file, maxPixels) {
  const picture = await createImageBitmap(file, { colorSpaceConversion: 'none' }).catch(() => {
    throw new Refusal('bad', `${name} is damaged, or no picture that this browser reads (JPEG, PNG, WebP, ...).`);
  });
  const { width, height } = picture;
  if (width * height <= maxPixels) return picture;
  picture.close();
  throw new Refusal(
    'bad',
    `${name} is ${width}x${height}, more than ${maxPixels.toLocaleString('en')} pixels, the limit.`,
  );
}

/** The picture at a size, on white. @returns {OffscreenCanvasRenderingContext2D} */
function draw(picture, { width, height }) {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0, width, height);
  return context;
}
