/**
 * Undo and redo: documents never change, so the past is a list of them.
 *
 * @template T
 * @typedef {{past: T[], present: T, future: T[]}} History
 */

const LIMIT = 200; // documents share their parts; this many cost little

/** @template T @param {T} present @returns {History<T>} */
export const begin = (present) => ({ past: [], present, future: [] });

/** A step that can be undone. @template T @param {History<T>} history @param {T} present @returns {History<T>} */
export const commit = (history, present) =>
  present === history.present
    ? history
    : { past: [...history.past, history.present].slice(-LIMIT), present, future: [] };

/** A change that is no step of its own, such as a selection. @template T @param {History<T>} history @param {T} present */
export const amend = (history, present) => ({ ...history, present });

/** @template T @param {History<T>} history @returns {History<T>} */
export const undo = ({ past, present, future }) =>
  past.length
    ? { past: past.slice(0, -1), present: past.at(-1), future: [present, ...future] }
    : { past, present, future };

/** @template T @param {History<T>} history @returns {History<T>} */
export const redo = ({ past, present, future }) =>
  future.length ? { past: [...past, present], present: future[0], future: future.slice(1) } : { past, present, future };
