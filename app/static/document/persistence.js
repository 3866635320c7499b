/**
 * Keeps the document over a reload of the page, in the browser's session storage, and which photo it belongs to.
 * The photo itself stays on the server.
 */

import { notify } from './messages.js';
import { parseDoc } from './prompts.js';

const KEY = 'repvit-sam';
const SAVE_AFTER_MS = 250;

/** @param {import('./state.js').State} state @returns {boolean}  false when the browser has no room for it */
function save({ photo, checkpoint, history }) {
  const { token, name, width, height, source } = photo;
  const saved = { photo: { token, name, width, height, example: source.example }, checkpoint, doc: history.present };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(saved));
    return true;
  } catch {
    return false;
  }
}

/**
 * What was saved before the reload, or null.
 * @returns {{photo: {token: string, name: string, width: number, height: number, example: string | null},
 *            checkpoint: string, doc: import('./prompts.js').Doc} | null}
 */
export function loadSaved() {
  try {
    const { photo, checkpoint, doc } = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') ?? {};
    const parsed = parseDoc(doc);
    return parsed && typeof photo?.token === 'string' ? { photo, checkpoint, doc: parsed } : null;
  } catch {
    return null; // written by another version, or storage is not allowed
  }
}

/** Save after every change, but not for each step of a drag. @param {import('./state.js').Store} store */
export function saveChanges(store) {
  let timer = 0;
  let hasRoom = true;
  const saveNow = () => {
    clearTimeout(timer);
    timer = 0;
    const state = store.get();
    if (!state.photo) return;
    const isSaved = save(state);
    if (hasRoom && !isSaved) notify(store, 'Too many layers for the browser to keep; a reload would lose the newest.');
    hasRoom = isSaved;
  };
  store.subscribe((state, before) => {
    if (
      state.history.present !== before.history.present ||
      state.photo !== before.photo ||
      state.checkpoint !== before.checkpoint
    ) {
      timer ||= setTimeout(saveNow, SAVE_AFTER_MS);
    }
  });
  window.addEventListener('pagehide', () => timer && saveNow());
}
