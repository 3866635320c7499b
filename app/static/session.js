/** What outlives a reload: the document and which photo it is about. The photo itself stays with the server. */

import { readDoc } from './story.js';

const KEY = 'repvit-sam';
const SAVE_AFTER_MS = 250;

/** @param {import('./state.js').State} state @returns {boolean}  false when the browser has no room for it */
function save({ photo, checkpoint, story }) {
  const { token, name, width, height, source } = photo;
  const kept = { photo: { token, name, width, height, example: source.example }, checkpoint, doc: story.present };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
    return true;
  } catch {
    return false;
  }
}

/**
 * @returns {{photo: {token: string, name: string, width: number, height: number, example: string | null},
 *            checkpoint: string, doc: import('./story.js').Doc} | null}
 */
export function restore() {
  try {
    const { photo, checkpoint, doc } = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') ?? {};
    const sound = readDoc(doc);
    return sound && typeof photo?.token === 'string' ? { photo, checkpoint, doc: sound } : null;
  } catch {
    return null; // written by another version, or not allowed
  }
}

/** Save after every change, but not for each step of a drag. @param {import('./state.js').App} app */
export function keepSession({ store, toast }) {
  let timer = 0;
  let hasRoom = true;
  const now = () => {
    clearTimeout(timer);
    timer = 0;
    const state = store.get();
    if (!state.photo) return;
    const isKept = save(state);
    if (hasRoom && !isKept) toast('Too many layers for the browser to keep; a reload would lose the newest.');
    hasRoom = isKept;
  };
  store.subscribe((state, before) => {
    if (
      state.story.present !== before.story.present ||
      state.photo !== before.photo ||
      state.checkpoint !== before.checkpoint
    ) {
      timer ||= setTimeout(now, SAVE_AFTER_MS);
    }
  });
  window.addEventListener('pagehide', () => timer && now());
}
