/**
 * Labels of a folder: photos, classes, and layers that have a class. Pure functions.
 *
 * @typedef {'untouched' | 'in work' | 'done'} PhotoState
 * @typedef {{name: string, state: PhotoState, count: number}} ListedPhoto
 * @typedef {{id: number | string, name: string, colour: string}} LabelClass
 * @typedef {object} Folder  the folder whose photos are labelled
 * @property {string} title
 * @property {string} file  name of the file with the labels
 * @property {string} session  of the server; another one after it has started again
 * @property {number} version  of what is known here
 * @property {ListedPhoto[]} photos
 * @property {number} index  of the open photo, or of the one that is on its way; -1 before the first
 * @property {LabelClass[]} classes
 * @property {number | string | null} active  class of the next object
 * @property {number} windows  others that have the folder open
 * @property {string} identity  tells this folder from another one that is served at the same address
 * @property {number} most  objects of a photo
 * @property {'saved' | 'saving' | 'waiting' | 'refused'} saving  waiting: it could not be saved, and is tried again;
 *   refused: the server says no, and the next change is sent again
 *
 * @typedef {import('./prompts.js').Doc} Doc
 * @typedef {import('./prompts.js').Layer} Layer
 * @typedef {import('./state.js').State} State
 */

import { newHistory } from './history.js';
import { EMPTY_DOC } from './prompts.js';

/** Class, name and colour of the next object; nothing where no folder is labelled. @param {State} state */
export function nextLabel({ folder }) {
  const chosen = folder?.classes.find(({ id }) => id === folder.active);
  return chosen ? labelOf(chosen) : {};
}

/** What a layer has of its class. @param {LabelClass} labelClass */
export const labelOf = ({ id, name, colour }) => ({ category: id, name, colour });

/** Layers with the names and colours that their classes have now. @param {Doc} doc @param {LabelClass[]} classes @returns {Doc} */
export function withClassNames(doc, classes) {
  const byId = new Map(classes.map((labelClass) => [labelClass.id, labelClass]));
  const isCurrent = ({ category, name, colour }) => {
    const its = byId.get(category);
    return !its || (its.name === name && its.colour === colour);
  };
  if (doc.layers.every(isCurrent)) return doc;
  const dress = (layer) => (isCurrent(layer) ? layer : { ...layer, ...labelOf(byId.get(layer.category)) });
  return { ...doc, layers: doc.layers.map(dress) };
}

/**
 * The document of a photo that was opened.
 * @param {any[]} layers  as the server has them, the lowest first @param {LabelClass[]} classes @param {string} checkpoint
 * @returns {import('./history.js').History}
 */
export function historyOf(layers, classes, checkpoint) {
  const own = { name: '', colour: '#888888', visible: true, checkpoint, chain: [] }; // until they have their class's
  const made = layers.map((layer, index) => ({ ...layer, ...own, id: index + 1 })).reverse();
  return newHistory(withClassNames({ ...EMPTY_DOC, layers: made, made: made.length }, classes));
}

/** Whether two documents are saved as the same labels. @param {Doc} one @param {Doc} other */
export const hasSameLabels = (one, other) =>
  one.layers === other.layers ||
  (one.layers.length === other.layers.length &&
    one.layers.every((layer, index) => {
      const its = other.layers[index];
      return layer.id === its.id && layer.rle === its.rle && layer.category === its.category;
    }));

/** @param {Folder} folder @param {number} index @param {Partial<ListedPhoto>} change @returns {Folder} */
export function changePhoto(folder, index, change) {
  const photos = [...folder.photos];
  photos[index] = { ...photos[index], ...change };
  return { ...folder, photos };
}

/**
 * The next photo of one of these states, after the open one and then from the start; -1 where there is none.
 * @param {Folder} folder @param {PhotoState[]} states
 */
export function nextOf({ photos, index }, states) {
  const isWanted = ({ state }) => states.includes(state);
  const after = photos.findIndex((photo, at) => at > index && isWanted(photo));
  return after >= 0 ? after : photos.findIndex((photo, at) => at < index && isWanted(photo));
}

/** How far the folder is, in words. @param {Folder} folder */
export function describeProgress({ photos }) {
  const done = photos.filter(({ state }) => state === 'done').length;
  const inWork = photos.filter(({ state }) => state === 'in work').length;
  const words = `${done.toLocaleString('en')} of ${photos.length.toLocaleString('en')} done`;
  return inWork ? `${words}, ${inWork.toLocaleString('en')} in work` : words;
}
