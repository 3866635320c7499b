/** Answers the page's server functions, one after the other, beside the page so that it never waits for them. */

import { makeCandidates } from './candidates.js';
import { makeFile } from './downloads.js';
import { loadEngine } from './engine.js';
import { boxOf, toDataUrl, viewSize } from './masks.js';
import { makePhotos } from './photos.js';
import { Refusal } from './refusal.js';
import { encodeRle } from './rle.js';

const settings = new URLSearchParams(location.search); // engine=wasm or webgpu, threads=1

const loading = load();
/** @type {any} */
let functions = null; // until the model is there
let working = loading;

self.onmessage = ({ data: { id, name, args } }) => {
  const answer = async () => self.postMessage({ id, answer: await answered(name, args) });
  if (name !== 'about' && !functions)
    answer(); // refused at once, see below
  else working = working.then(answer);
};

async function load() {
  try {
    const site = await (await fetch('site.json')).json();
    const report = (progress) => self.postMessage({ progress });
    functions = makeFunctions(site, await loadEngine(site, settings, report));
  } catch (error) {
    self.postMessage({ failure: error.kind ? error.message : `The page cannot start: ${error.message}` });
    await new Promise(() => {}); // nothing is answered: the page would ask again and again
  }
}

async function answered(name, args) {
  try {
    if (!functions) throw new Refusal('busy', 'The model is still on its way; open the photo when it is here.');
    return await functions[name](args);
  } catch (error) {
    const message = error.kind ? error.message : `This went wrong in the browser: ${error.message}`;
    return { error: { kind: error.kind ?? 'bad', message } };
  }
}

/** The functions by name; requests and answers are those of app/handlers.py. */
function makeFunctions(site, { segmenter, device, precision }) {
  const photos = makePhotos(site, segmenter);
  const candidates = makeCandidates(segmenter);

  const picked = async (photo, chain) => {
    const { result, decodeMs } = await candidates(photo, chain);
    return { ...result, decodeMs, index: chain.at(-1).pick ?? result.best };
  };

  return {
    about: () => ({
      ...site.about,
      device,
      engine: precision,
      examples: site.examples,
      page_files: site.page_files,
      encode_ms: null,
      decode_ms: null,
      hover: true, // the page switches previews off where they are slow
    }),
    open: ({ data: { file } }) => photos.open(file.name, file),
    open_example: ({ name }) => photos.openExample(name),
    resume: ({ photo }) => photos.resume(photo),

    async predict({ photo: token, chain }) {
      const photo = photos.get(token);
      if (!hasObject(chain.at(-1))) return { candidates: [], best: 0, refined: false, decode_ms: 0 };
      const { result, decodeMs } = await candidates(photo, chain);
      const view = viewSize(photo.fit);
      const shown = [];
      for (const [index, iou] of result.ious.entries()) {
        const mask = segmenter.mask(result.logits[index], photo.fit, view);
        const share = mask.reduce((sum, pixel) => sum + pixel, 0) / mask.length;
        const area = Math.round(share * photo.fit.width * photo.fit.height);
        shown.push({ mask: await toDataUrl(mask, view), iou, area, share });
      }
      return { candidates: shown, best: result.best, refined: false, decode_ms: decodeMs };
    },

    async hover({ photo: token, x, y }) {
      const photo = photos.get(token);
      const { logits, ious, index, decodeMs } = await picked(photo, [{ points: [[x, y, 1]], box: null, pick: null }]);
      const view = viewSize(photo.fit);
      const mask = segmenter.mask(logits[index], photo.fit, view);
      return { mask: await toDataUrl(mask, view), iou: ious[index], decode_ms: decodeMs };
    },

    async keep({ photo: token, chain }) {
      const photo = photos.get(token);
      if (!hasObject(chain.at(-1))) {
        throw new Refusal('bad', 'There is no mask yet: give an object point or a box first.');
      }
      const { logits, ious, index } = await picked(photo, chain);
      const { fit } = photo;
      const view = viewSize(fit);
      const mask = segmenter.mask(logits[index], fit, fit);
      return {
        rle: encodeRle(mask, fit),
        ...boxOf(mask, fit),
        mask: await toDataUrl(segmenter.mask(logits[index], fit, view), view),
        iou: ious[index],
      };
    },

    download: ({ photo, ...request }) => makeFile(photos.get(photo), request),
  };
}

/** Background points alone say nothing about an object. */
const hasObject = ({ points, box }) => Boolean(box) || points.some(([, , label]) => label === 1);
