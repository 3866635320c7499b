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
 * @param {Doc} doc @param {import('./prompts.js').MaskObject & {name?: string, category?: number | string}} object
 * @returns {Doc}
 */
export function addLayer(doc, { rle, mask, area, iou, colour, checkpoint, chain, name, category = null }) {
  const id = doc.made + 1;
  const made = { id, name: name ?? `Object ${id}`, colour, category, visible: true };
  const layer = { ...made, rle, mask, area, iou, checkpoint, chain };
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

/**
 * Several layers in the place of one.
 * @param {Doc} doc @param {number} id @param {Partial<Layer>[]} changes  of the copies; the first keeps the id @returns {Doc}
 */
export function splitLayer(doc, id, changes) {
  const copies = (layer) =>
    changes.map((change, index) => ({ ...layer, ...change, id: index ? doc.made + index : layer.id }));
  const layers = doc.layers.flatMap((layer) => (layer.id === id ? copies(layer) : [layer]));
  return { ...doc, layers, made: doc.made + changes.length - 1 };
}

/** The visible layer beside another one. @param {Doc} doc @param {number | null} id @param {-1 | 1} by  -1 is up */
export function neighbour(doc, id, by) {
  const visible = doc.layers.filter((layer) => layer.visible || layer.id === id);
  if (id === null) return by > 0 ? visible[0] : visible.at(-1);
  return visible[visible.findIndex((layer) => layer.id === id) + by];
}

/** Select a layer, or deselect it when it is selected. @param {Doc} doc @param {number} id @returns {Doc} */
export const toggleSelected = (doc, id) => ({ ...doc, selected: doc.selected === id ? null : id });
