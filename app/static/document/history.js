/**
 * Undo and redo. Documents never change in place, so the past is a list of them.
 *
 * The functions after ``redo`` take the page's state and return what changes in it, for ``store.set``.
 *
 * @typedef {import('./prompts.js').Doc} Doc
 * @typedef {import('./state.js').State} State
 * @typedef {{past: Doc[], present: Doc, future: Doc[]}} History
 */

import { changeLayer, layerById } from './layers.js';

const LIMIT = 200; // documents share their parts, so this many take little memory

/** @param {Doc} present @returns {History} */
export const newHistory = (present) => ({ past: [], present, future: [] });

/** Add a step that can be undone. @param {History} history @param {Doc} present @returns {History} */
const commit = (history, present) =>
  present === history.present
    ? history
    : { past: [...history.past, history.present].slice(-LIMIT), present, future: [] };

/** @param {History} history @returns {History} */
export const undo = ({ past, present, future }) =>
  past.length
    ? { past: past.slice(0, -1), present: past.at(-1), future: [present, ...future] }
    : { past, present, future };

/** @param {History} history @returns {History} */
export const redo = ({ past, present, future }) =>
  future.length ? { past: [...past, present], present: future[0], future: future.slice(1) } : { past, present, future };

/**
 * One step of the person, which can be undone.
 * @param {State} state @param {Doc} doc  the new document
 * @param {{since?: number, touched?: import('./prompts.js').Target | null}} [how]  since: when, as event.timeStamp
 * @returns {Partial<State>}
 */
export const edit = (state, doc, { since = performance.now(), touched = state.touched } = {}) => ({
  history: commit(withColourStep(state), doc),
  recolouring: null,
  editedAt: since,
  touched,
  draft: null,
  hidden: false,
});

/** A change without a step of its own, such as a selection. @param {State} state @param {Doc} doc @returns {Partial<State>} */
export const amend = ({ history }, doc) => ({ history: { ...history, present: doc } });

/** Go back or forward. @param {State} state @param {(history: History) => History} move  undo or redo @returns {Partial<State>} */
export const travel = (state, move) => ({
  history: move(withColourStep(state)),
  recolouring: null,
  editedAt: performance.now(),
  touched: null,
  draft: null,
});

/**
 * Show a colour while it is being chosen.
 * @param {State} state @param {number} id  of the layer @param {string} colour @returns {Partial<State>}
 */
export function previewColour(state, id, colour) {
  const isSame = state.recolouring?.id === id;
  const history = isSame ? state.history : withColourStep(state);
  const layer = layerById(history.present, id);
  if (!layer) return {};
  return {
    history: { ...history, present: changeLayer(history.present, id, { colour }) },
    recolouring: isSame ? state.recolouring : { id, colour: layer.colour },
  };
}

/** The chosen colour becomes one step. @param {State} state @returns {Partial<State>} */
export const settleColour = (state) => ({ history: withColourStep(state), recolouring: null });

/** The history in which a colour that is being chosen is a step; also when something else is done meanwhile. */
function withColourStep({ history, recolouring }) {
  const layer = recolouring && layerById(history.present, recolouring.id);
  if (!layer || layer.colour === recolouring.colour) return history;
  const before = changeLayer(history.present, recolouring.id, { colour: recolouring.colour });
  return commit({ ...history, present: before }, history.present);
}
