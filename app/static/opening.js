/**
 * Opening a photo: a file, an example, or one the server still has. Also brings a photo back that the server forgot.
 *
 * @typedef {{file: File} | {example: string} | {photo: string, example?: string | null}} Source
 */

import { begin } from './history.js';
import { makeShapes } from './outline.js';
import { EMPTY } from './story.js';
import { fit } from './view.js';
import { followProgress, newTicket, WireError, waitingText } from './wire.js';

const MB = 1024 * 1024;

/**
 * @param {import('./state.js').App} app
 * @param {() => void} leave  ends what runs for the photo that is about to go
 */
export function makeOpening(app, leave) {
  const { store, wire } = app;
  let coming = null; // the ticket of the photo that is on its way; a newer one makes the older stale

  /**
   * Send a source to the server, with progress on the stage.
   * @param {Source} source @param {boolean} [replaces]  the photo on the stage is about to go
   */
  async function send(source, checkpoint, ticket, replaces = false) {
    const expected = store.get().about?.encode_ms ?? null;
    const show = (opening) => coming === ticket && store.set({ opening: { ...opening, replaces } });
    show({ text: 'file' in source ? 'Sending the photo' : 'Opening', share: null, expected: null });
    const stop = followProgress(wire, ticket, ({ state, ahead, share }) => {
      if (state === 'waiting') show({ text: waitingText(ahead), share: null, expected: null });
      if (state === 'working') show({ text: 'Encoding', share, expected });
    });
    try {
      if ('file' in source) {
        return await wire.patiently('open', { binary: true, data: { file: source.file, checkpoint, ticket } });
      }
      if ('photo' in source) return await resume(source, checkpoint, ticket);
      return await wire.patiently('open_example', { name: source.example, checkpoint, ticket });
    } finally {
      stop();
    }
  }

  async function resume(source, checkpoint, ticket) {
    try {
      return await wire.patiently('resume', { photo: source.photo, checkpoint, ticket });
    } catch (error) {
      if (error.kind !== 'gone' || !source.example) throw error;
      return wire.patiently('open_example', { name: source.example, checkpoint, ticket });
    }
  }

  /**
   * Open and show. True when the photo is there.
   * @param {Source} source
   * @param {{doc?: import('./story.js').Doc, checkpoint?: string, onFail?: (error: Error) => void}} [kept]
   *   doc: what was already said about this photo
   */
  async function open(source, { doc = null, checkpoint = store.get().checkpoint, onFail = app.fail } = {}) {
    const limit = store.get().about?.max_bytes;
    if ('file' in source && limit && source.file.size > limit) {
      app.toast(
        `${source.file.name} has ${megabytes(source.file.size)}; the page takes photos up to ${megabytes(limit)}.`,
      );
      return false;
    }
    leave();
    const ticket = newTicket();
    if (coming) wire.call('cancel', { ticket: coming }).catch(() => {});
    coming = ticket;
    try {
      const answer = await send(source, checkpoint, ticket, true);
      if (coming !== ticket || answer.cancelled) return false;
      const picture = await decode(answer.view);
      if (coming !== ticket) return false;
      const photo = toPhoto(answer, source);
      store.set({
        photo,
        picture,
        checkpoint: answer.checkpoint ?? checkpoint,
        shapes: makeShapes(photo, app.redraw),
        story: begin(doc ?? orphaned(store.get(), answer) ?? EMPTY),
        orphan: null,
        answer: null,
        look: null,
        everything: null,
        draft: null,
        cross: null,
        view: fit(photo, store.get().stage),
      });
      app.say(sentence(answer, store.get().about));
      return true;
    } catch (error) {
      if (coming === ticket) onFail(error);
      return false;
    } finally {
      if (coming === ticket) {
        coming = null;
        store.set({ opening: null });
      }
    }
  }

  /** Another checkpoint for the same photo; the prompts stay. */
  async function change(checkpoint) {
    const { photo } = store.get();
    if (!photo) return store.set({ checkpoint });
    const ticket = newTicket();
    if (coming) wire.call('cancel', { ticket: coming }).catch(() => {});
    coming = ticket;
    try {
      const { file, example } = photo.source;
      const answer = await send({ photo: photo.token, example }, checkpoint, ticket).catch((error) => {
        if (error.kind !== 'gone') throw error;
        if (!file) throw orphan(photo);
        return send({ file }, checkpoint, ticket);
      });
      if (coming !== ticket || answer.cancelled) return undefined;
      store.set({
        checkpoint,
        photo: { ...photo, token: answer.photo, encodeMs: answer.encode_ms },
        answer: null,
        look: null,
      });
      app.say(sentence(answer, store.get().about));
    } catch (error) {
      if (coming === ticket) app.fail(error);
    } finally {
      if (coming === ticket) {
        coming = null;
        store.set({ opening: null });
      }
    }
    return undefined;
  }

  /** The prompts wait for their photo: whoever opens the file again gets them back, see orphaned. */
  function orphan(photo) {
    store.set({ orphan: { photo, doc: store.get().story.present, isGone: true } });
    return new WireError(
      'gone',
      `The server no longer has ${photo.name}. Open the file again; your prompts and layers are kept.`,
    );
  }

  let returning = null; // several calls may find out at once that the photo is gone

  /** The server has forgotten the photo: give it again, keep all that was said about it. */
  function bringBack() {
    returning ??= (async () => {
      const { photo, checkpoint } = store.get();
      const { file, example } = photo.source;
      if (!file && !example) throw orphan(photo);
      const ticket = newTicket();
      coming = ticket;
      try {
        const answer = await send(file ? { file } : { example }, checkpoint, ticket);
        if (!answer.cancelled && store.get().photo.id === photo.id)
          store.set({ photo: { ...store.get().photo, token: answer.photo } });
      } finally {
        if (coming === ticket) {
          coming = null;
          store.set({ opening: null });
        }
      }
    })().finally(() => {
      returning = null;
    });
    return returning;
  }

  /** A call about the photo that is open. @param {string} name @param {object} args */
  async function ask(name, args, call = wire.patiently) {
    try {
      return await call(name, { photo: store.get().photo.token, ...args });
    } catch (error) {
      if (error.kind !== 'gone') throw error;
      await bringBack();
      return call(name, { photo: store.get().photo.token, ...args });
    }
  }

  return { open, change, ask };
}

const toPhoto = (answer, source) => ({
  id: newTicket(), // names are no names: what is pasted is always image.png
  token: answer.photo,
  name: answer.name,
  width: answer.width,
  height: answer.height,
  encodeMs: answer.encode_ms,
  source: { file: source.file ?? null, example: source.example ?? null },
});

/** Prompts that had lost their photo return to it: those still on the stage, or those of before a reload. */
function orphaned({ orphan, photo, story }, { name, width, height }) {
  if (orphan?.photo.name !== name || orphan.photo.width !== width || orphan.photo.height !== height) return null;
  return photo && photo.id === orphan.photo.id ? story.present : orphan.doc;
}

async function decode(url) {
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  return picture;
}

function sentence({ name, width, height, encode_ms: ms }, about) {
  const encoded = encodeTime(ms, about) === null ? '' : `, encoded in ${(ms / 1000).toFixed(ms < 100 ? 2 : 1)} s`;
  return `${name}, ${width} × ${height} pixels${encoded}. Click an object, or drag a box around it.`;
}

/** Milliseconds, or null: much less than usual is no encoding but an embedding that the server still had. */
export const encodeTime = (ms, about) => (ms > 5 && ms > 0.3 * (about?.encode_ms ?? 0) ? ms : null);

const megabytes = (bytes) => `${(bytes / MB).toFixed(bytes < 10 * MB ? 1 : 0)} MB`;
