/**
 * Layers: the objects that were kept. Pure functions, document in, document out. The topmost layer comes first.
 *
 * @typedef {import('./prompts.js').Doc} Doc
 * @typedef {import('./prompts.js').Layer} Layer
 */

/**
 * The first colour that no layer has. When all are used, they start again.
 * @param {Layer[]} layers @param {string[]} colours  those that the server offers
 */
export function freeColour(layers, colours) {
  const used = new Set(layers.map((layer) => layer.colour));
  return colours.find((colour) => !used.has(colour)) ?? colours[layers.length % colours.length];
}

/**
 * Put an object on top and select it.
 * @param {Doc} doc @param {import('./prompts.js').MaskObject} object @returns {Doc}
 */
export function addLayer(doc, { rle, mask, area, iou, colour, checkpoint, chain }) {
  const id = doc.made + 1;
  const layer = { id, name: `Object ${id}`, colour, visible: true, rle, mask, area, iou, checkpoint, chain };
  return { ...doc, layers: [layer, ...doc.layers], selected: id, made: id };
}

/** @param {Doc} doc @param {number} id @returns {Layer | undefined} */
export const layerById = (doc, id) => doc.layers.find((layer) => layer.id === id);

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

/** @param {Doc} doc @param {number} id @param {-1 | 1} by  -1 is up, nearer to the top @returns {Doc} */
export function moveLayer(doc, id, by) {
  const from = doc.layers.findIndex((layer) => layer.id === id);
  const to = from + by;
  if (from < 0 || to < 0 || to >= doc.layers.length) return doc;
  const layers = [...doc.layers];
  [layers[from], layers[to]] = [layers[to], layers[from]];
  return { ...doc, layers };
}

/** Select a layer, or deselect it when it is selected. @param {Doc} doc @param {number} id @returns {Doc} */
export const toggleSelected = (doc, id) => ({ ...doc, selected: doc.selected === id ? null : id });
