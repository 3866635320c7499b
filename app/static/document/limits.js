/**
 * The limits that the server sets. Each function says whether something is within them, and tells the person if not.
 *
 * @typedef {import('./state.js').Store} Store
 */

import { notify } from './messages.js';
import { currentPrompts } from './prompts.js';

/** @param {Store} store @returns {boolean} */
export function canAddPoint(store) {
  const { about, history } = store.get();
  const most = about.limits.points;
  const isAllowed = currentPrompts(history.present).points.length < most;
  if (!isAllowed) notify(store, `A mask takes ${most} points. Delete one, or keep the object and start another.`);
  return isAllowed;
}

/** @param {Store} store @param {number} count @returns {boolean} */
export function canAddLayers(store, count) {
  const { about, history, folder } = store.get();
  const most = folder?.most ?? about.limits.layers;
  const room = most - history.present.layers.length;
  if (count > room) notify(store, `A photo holds ${most} layers; there is room for ${room} more.`);
  return count <= room;
}

/** @param {Store} store @param {number} count  of layers in one file @returns {boolean} */
export function fitsOneFile(store, count) {
  const most = store.get().about.limits.layers;
  if (count > most) notify(store, `A file holds ${most} layers; these are ${count}. Hide some.`);
  return count <= most;
}
