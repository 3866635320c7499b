/** Opens photos: files, examples, and the one that was open before a reload. Changes the checkpoint of the open one. */

import { newHistory } from '../document/history.js';
import { notify, reportError, say } from '../document/messages.js';
import { loadSaved } from '../document/persistence.js';
import { EMPTY_DOC } from '../document/prompts.js';
import { encodeTime } from '../document/selectors.js';
import { makeShapes } from '../view/contours.js';
import { fit } from '../view/viewport.js';
import { newTicket } from './rpc.js';

const MB = 1024 * 1024;
const BY_HAND = new Set(['brush', 'eraser', 'outline']);
const BRUSH_SHARE = 0.03; // of the photo's long side, at first

/**
 * @typedef {import('../document/prompts.js').Doc} Doc
 * @param {import('../document/state.js').Store} store @param {import('./session.js').Session} session
 */
export function makePhotos(store, session) {
  const fail = (error) => reportError(store, error);

  /**
   * @param {import('./session.js').Source} source
   * @param {{doc?: Doc | null, historyOf?: (answer: any) => import('../document/history.js').History,
   *          checkpoint?: string, onFail?: (error: any) => void}} [saved]  doc: of this photo; historyOf: likewise
   */
  async function open(source, { doc = null, historyOf, checkpoint = store.get().checkpoint, onFail = fail } = {}) {
    const limit = store.get().about?.max_bytes;
    if (source.file && limit && source.file.size > limit) {
      const { name, size } = source.file;
      notify(store, `${name} has ${megabytes(size)}; the page takes photos up to ${megabytes(limit)}.`);
      return;
    }
    await session
      .load(
        source,
        checkpoint,
        async (answer, isCurrent) => {
          const picture = await decodePicture(answer.view);
          if (!isCurrent()) return;
          const photo = toPhoto(answer, source);
          const history = historyOf?.(answer) ?? newHistory(doc ?? lostDoc(store.get(), photo) ?? EMPTY_DOC);
          show(photo, picture, answer.checkpoint ?? checkpoint, history);
        },
        { replaces: true },
      )
      .catch(onFail);
  }

  /** @param {import('../document/state.js').Photo} photo @param {import('../document/history.js').History} history */
  function show(photo, picture, checkpoint, history) {
    const { stage, about, brush, mode } = store.get();
    store.set({
      mode: BY_HAND.has(mode) ? 'object' : mode, // these need a layer
      brush: brush || Math.max(4, Math.round(BRUSH_SHARE * Math.max(photo.width, photo.height))),
      photo,
      picture,
      checkpoint,
      shapes: makeShapes(photo, () => store.set({})), // a contour has been read: draw again
      history,
      recolouring: null,
      lostPhoto: null,
      prediction: null,
      preview: null,
      everything: null,
      draft: null,
      strokes: [],
      outline: null,
      crosshair: null,
      view: fit(photo, stage),
    });
    say(store, describePhoto(photo, about));
  }

  /** Another checkpoint for the same photo; the prompts stay. @param {string} checkpoint */
  async function changeCheckpoint(checkpoint) {
    const { photo } = store.get();
    if (!photo) return store.set({ checkpoint });
    return session
      .load({ photo: photo.token, ...photo.source }, checkpoint, (answer) => {
        const changed = { ...photo, token: answer.photo, encodeMs: answer.encode_ms };
        store.set({ checkpoint, photo: changed, prediction: null, preview: null });
        say(store, describePhoto(changed, store.get().about));
      })
      .catch((error) => fail(error.kind === 'gone' ? session.lose() : error));
  }

  /** The photo that was open before the reload, or the first example. */
  async function openFirst() {
    const saved = loadSaved();
    const { about } = store.get();
    if (!saved) return about.examples.length ? open({ example: about.examples[0].name }) : undefined;
    const { photo, doc } = saved;
    const isOffered = about.checkpoints.some(({ name }) => name === saved.checkpoint);
    return open(
      { photo: photo.token, example: photo.example },
      {
        doc,
        checkpoint: isOffered ? saved.checkpoint : about.checkpoint,
        onFail(error) {
          const isGone = error.kind === 'gone';
          store.set({ lostPhoto: { photo, doc, isGone } });
          say(store, isGone ? 'The photo is no longer on the server.' : error.message);
        },
      },
    );
  }

  return { open, changeCheckpoint, openFirst };
}

/** @returns {import('../document/state.js').Photo} */
const toPhoto = (answer, source) => ({
  id: newTicket(), // not the file's name: every pasted photo is called image.png
  token: answer.photo,
  name: answer.name,
  width: answer.width,
  height: answer.height,
  encodeMs: answer.encode_ms,
  source: { file: source.file ?? null, example: source.example ?? null, folderPhoto: source.folderPhoto ?? null },
});

/** The document that lost this photo: the one on the stage, or the one from before a reload. @returns {Doc | null} */
function lostDoc({ lostPhoto, photo, history }, { name, width, height }) {
  const lost = lostPhoto?.photo;
  if (lost?.name !== name || lost.width !== width || lost.height !== height) return null;
  return photo && photo.id === lost.id ? history.present : lostPhoto.doc;
}

async function decodePicture(url) {
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  return picture;
}

function describePhoto({ name, width, height, encodeMs: ms }, about) {
  const encoded = encodeTime(ms, about) === null ? '' : `, encoded in ${(ms / 1000).toFixed(ms < 100 ? 2 : 1)} s`;
  return `${name}, ${width} × ${height} pixels${encoded}. Click an object, or drag a box around it.`;
}

const megabytes = (bytes) => `${(bytes / MB).toFixed(bytes < 10 * MB ? 1 : 0)} MB`;
