/**
 * Kept objects: pure operations on the layers of a document. The topmost layer comes first.
 *
 * @typedef {import('./story.js').Doc} Doc
 * @typedef {import('./story.js').Layer} Layer
 */

/**
 * The first colour that no layer has; when all are taken, the one used least recently.
 * @param {Layer[]} layers @param {string[]} colours  those that the server offers
 */
export function freeColour(layers, colours) {
  const taken = new Set(layers.map((layer) => layer.colour));
  return colours.find((colour) => !taken.has(colour)) ?? colours[layers.length % colours.length];
}

/**
 * Put an object on top and select it.
 * @param {Doc} doc @param {Pick<Layer, 'rle' | 'mask' | 'area' | 'iou' | 'colour' | 'checkpoint' | 'chain'>} object
 * @returns {Doc}
 */
export function addLayer(doc, { rle, mask, area, iou, colour, checkpoint, chain }) {
  const id = doc.made + 1;
  const layer = {
    id,
    name: `Object ${id}`,
    colour,
    visible: true,
    rle,
    mask,
    area,
    iou,
    checkpoint,
    chain,
  };
  return { ...doc, layers: [layer, ...doc.layers], selected: id, made: id };
}

/** @param {Doc} doc @param {number} id @param {Partial<Layer>} change @returns {Doc} */
export const changeLayer = (doc, id, change) => ({
  ...doc,
  layers: doc.layers.map((layer) => (layer.id === id ? { ...layer, ...change } : layer)),
});

/** @param {Doc} doc @param {number} id @returns {Doc} */
export const removeLayer = (doc, id) => ({
  ...doc,
  layers: doc.layers.filter((layer) => layer.id !== id),
  selected: doc.selected === id ? null : doc.selected,
});

/** @param {Doc} doc @param {number} id @param {-1 | 1} by  -1 up, towards the eye @returns {Doc} */
export function moveLayer(doc, id, by) {
  const from = doc.layers.findIndex((layer) => layer.id === id);
  const to = from + by;
  if (from < 0 || to < 0 || to >= doc.layers.length) return doc;
  const layers = [...doc.layers];
  [layers[from], layers[to]] = [layers[to], layers[from]];
  return { ...doc, layers };
}

/** Select, or let go of what is selected. @param {Doc} doc @param {number | null} id @returns {Doc} */
export const selectLayer = (doc, id) => ({ ...doc, selected: doc.selected === id ? null : id });
