/**
 * The open photo on the server: sends photos there, and makes calls about the open one. When the server no longer has
 * the photo, it is sent again and the call repeated.
 *
 * @typedef {import('../document/state.js').Store} Store
 * @typedef {{file?: File | null, example?: string | null, folderPhoto?: string | null, photo?: string}} Source
 *   where a photo comes from; folderPhoto: its name in the folder that is labelled; photo: a token of the server, tried
 *   before the others
 * @typedef {ReturnType<typeof makeSession>} Session
 */

import { cancelCall, newTicket, pollProgress, RpcError, waitingText } from './rpc.js';

/** @param {Store} store @param {import('./rpc.js').Rpc} rpc */
export function makeSession(store, rpc) {
  /** @type {string | null} ticket of the photo on its way; a newer photo makes an older one obsolete */
  let current = null;
  /** @type {Promise<void> | null} several calls may learn at once that the photo is gone */
  let resending = null;

  /** Open by name in the folder, else by token, by file, by name of an example. @param {Source} source @param {object} args */
  async function requestOpen({ photo, file, example, folderPhoto }, args) {
    if (folderPhoto) return rpc.callWithRetries('open_folder_photo', { name: folderPhoto, ...args });
    try {
      if (photo) return await rpc.callWithRetries('resume', { photo, ...args });
    } catch (error) {
      if (error.kind !== 'gone' || !(file || example)) throw error;
    }
    if (file) return rpc.callWithRetries('open', { binary: true, data: { file, ...args } });
    return rpc.callWithRetries('open_example', { name: example, ...args });
  }

  /** Open a photo, with progress on the stage. @param {Source} source */
  async function openWithProgress(source, checkpoint, ticket, replaces) {
    const expected = store.get().about?.encode_ms ?? null;
    const show = (opening) => current === ticket && store.set({ opening: { ...opening, replaces } });
    const isUpload = source.file && !source.photo;
    show({ text: isUpload ? 'Sending the photo' : 'Opening', share: null, expected: null });
    const stop = pollProgress(rpc, ticket, ({ state, ahead, share }) => {
      if (state === 'waiting') show({ text: waitingText(ahead), share: null, expected: null });
      if (state === 'working') show({ text: 'Encoding', share, expected });
    });
    try {
      return await requestOpen(source, { checkpoint, ticket });
    } finally {
      stop();
    }
  }

  /**
   * Send a photo and use the answer. Nothing happens when a newer photo was sent meanwhile.
   * @param {Source} source @param {string} checkpoint
   * @param {(answer: any, isCurrent: () => boolean) => void | Promise<void>} use
   * @param {{replaces?: boolean}} [how]  replaces: the open photo will be closed
   */
  async function load(source, checkpoint, use, { replaces = false } = {}) {
    const ticket = newTicket();
    const isCurrent = () => current === ticket;
    if (current) cancelCall(rpc, current);
    current = ticket;
    try {
      const answer = await openWithProgress(source, checkpoint, ticket, replaces);
      if (isCurrent() && !answer.cancelled) await use(answer, isCurrent);
    } catch (error) {
      if (isCurrent()) throw error;
    } finally {
      if (isCurrent()) {
        current = null;
        store.set({ opening: null });
      }
    }
  }

  /** The server no longer has the photo: send it again, keep the document. */
  async function resend() {
    const { photo, checkpoint } = store.get();
    const { file, example, folderPhoto } = photo.source;
    if (!file && !example && !folderPhoto) throw lose();
    await load(photo.source, checkpoint, (answer) => {
      store.set({ photo: { ...store.get().photo, token: answer.photo } });
    });
  }

  /** The photo cannot be sent again: keep its prompts until the person opens the file. @returns {RpcError} */
  function lose() {
    const { photo, history } = store.get();
    store.set({ lostPhoto: { photo, doc: history.present, isGone: true } });
    return new RpcError(
      'gone',
      `The server no longer has ${photo.name}. Open the file again; your prompts and layers are kept.`,
    );
  }

  /**
   * A call about the open photo.
   * @param {string} name @param {object} args @param {import('./rpc.js').Call} [call]  rpc.call does without retries
   */
  async function callAboutPhoto(name, args, call = rpc.callWithRetries) {
    try {
      return await call(name, { photo: store.get().photo.token, ...args });
    } catch (error) {
      if (error.kind !== 'gone') throw error;
      if (current && !resending) throw error; // another photo is on its way
      resending ??= resend().finally(() => {
        resending = null;
      });
      await resending;
      return call(name, { photo: store.get().photo.token, ...args });
    }
  }

  return { load, lose, call: callAboutPhoto };
}
