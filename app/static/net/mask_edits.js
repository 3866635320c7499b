/** Layers corrected by hand. The server has them at the size of the photo; one edit after the other is sent there. */

import { edit } from '../document/history.js';
import { nextLabel } from '../document/labels.js';
import { addLayer, changeLayer, layerById, removeLayer, splitLayer } from '../document/layers.js';
import { canAddLayers } from '../document/limits.js';
import { reportError, say } from '../document/messages.js';
import { nextColour } from '../document/selectors.js';

/**
 * @typedef {ReturnType<typeof makeMaskEdits>} MaskEdits
 * @typedef {import('../document/prompts.js').Layer} Layer
 * @param {import('../document/state.js').Store} store
 * @param {import('./session.js').Session} session
 */
export function makeMaskEdits(store, session) {
  let last = Promise.resolve();
  const doc = () => store.get().history.present;

  /**
   * Change a layer when the edits before are done. Nothing happens where it is gone by then, or undone meanwhile.
   * @param {number} id @param {(layer: Layer) => Promise<{doc: import('../document/prompts.js').Doc, words: string} | null>} work
   */
  function change(id, work) {
    const photoId = store.get().photo.id;
    last = last.then(async () => {
      const layer = layerById(doc(), id);
      if (!layer || store.get().photo.id !== photoId) return;
      try {
        const done = await work(layer);
        if (!done || store.get().photo.id !== photoId || layerById(doc(), id)?.rle !== layer.rle) return;
        store.set(edit(store.get(), done.doc, { touched: store.get().touched }));
        say(store, done.words);
      } catch (error) {
        reportError(store, error);
      }
    });
    return last;
  }

  /** The masks that an edit leads to, ready to be drawn. @param {any} rle @param {object} how */
  async function masksOf(rle, how) {
    const { masks } = await session.call('edit_mask', { rle, edit: how });
    for (const { mask } of masks) await store.get().shapes.load(mask);
    return masks.map(({ rle: changed, mask, area }) => ({ rle: changed, mask, area, iou: null, chain: [] }));
  }

  const nothing = (words) => {
    say(store, words);
    return null;
  };

  const described = ({ name }, { area }) => `${name}: ${area.toLocaleString('en')} pixels.`;

  /** An edit of one mask that leads to one mask. @param {number} id @param {object} how */
  const simple = (id, how) =>
    change(id, async (layer) => {
      const [mask] = await masksOf(layer.rle, how);
      if (!mask) return { doc: removeLayer(doc(), id), words: `Nothing is left of ${layer.name}.` };
      if (mask.rle.counts === layer.rle.counts) return nothing('Nothing to change.');
      return { doc: changeLayer(doc(), id, mask), words: described(layer, mask) };
    });

  /** A stroke of the brush, on a layer or as a new one. @param {import('../document/state.js').Stroke} stroke */
  async function paint(stroke) {
    const { points, diameter, erase, layer } = stroke;
    store.set({ strokes: [...store.get().strokes, stroke] });
    const how = { kind: 'brush', points, diameter, erase };
    await (layer === null ? create(how) : simple(layer, how));
    store.set({ strokes: store.get().strokes.filter((each) => each !== stroke) });
  }

  /** A new layer, drawn by hand. @param {object} how */
  function create(how) {
    if (!canAddLayers(store, 1)) return undefined;
    const photoId = store.get().photo.id;
    last = last.then(async () => {
      try {
        const [mask] = await masksOf(null, how);
        if (!mask || store.get().photo.id !== photoId) return;
        const { checkpoint } = store.get();
        const made = { ...mask, checkpoint, colour: nextColour(store.get()), ...nextLabel(store.get()) };
        store.set(edit(store.get(), addLayer(doc(), made)));
        say(store, described(doc().layers[0], mask));
      } catch (error) {
        reportError(store, error);
      }
    });
    return last;
  }

  /** Each part becomes a layer. @param {number} id */
  const split = (id) =>
    change(id, async (layer) => {
      const parts = await masksOf(layer.rle, { kind: 'split' });
      if (parts.length < 2) return nothing(`${layer.name} is in one part.`);
      if (!canAddLayers(store, parts.length - 1)) return null;
      return { doc: splitLayer(doc(), id, parts), words: `${parts.length} layers of ${layer.name}.` };
    });

  /** Two layers become one. @param {number} id @param {number} otherId  goes */
  const merge = (id, otherId) =>
    change(id, async (layer) => {
      const other = layerById(doc(), otherId);
      if (!other) return null;
      const [mask] = await masksOf(layer.rle, { kind: 'merge', others: [other.rle] });
      if (layerById(doc(), otherId)?.rle !== other.rle) return null;
      return {
        doc: removeLayer(changeLayer(doc(), id, mask), otherId),
        words: `${other.name} is part of ${layer.name}.`,
      };
    });

  /** Take a layer's pixels away from all others. @param {number} id */
  const cut = (id) =>
    change(id, async (layer) => {
      const changes = [];
      for (const other of doc().layers) {
        if (other.id === id) continue;
        const [mask] = await masksOf(other.rle, { kind: 'cut', others: [layer.rle] });
        if (!mask || mask.rle.counts !== other.rle.counts) changes.push({ other, mask });
      }
      // the document of now: something may have been kept meanwhile
      const current = changes.filter(({ other }) => layerById(doc(), other.id)?.rle === other.rle);
      const next = current.reduce(
        (now, { other, mask }) => (mask ? changeLayer(now, other.id, mask) : removeLayer(now, other.id)),
        doc(),
      );
      const count = current.length;
      if (!count) return nothing(`No other layer has pixels of ${layer.name}.`);
      return { doc: next, words: `${layer.name} is cut out of ${count} other layer${count > 1 ? 's' : ''}.` };
    });

  /** The corners of a layer's edge. @param {Layer} layer @returns {Promise<[number, number][][]>} */
  const outlineOf = async (layer) => (await session.call('outline', { rle: layer.rle })).loops;

  return {
    /** Resolves when all edits so far are done. */
    settled: () => last,
    paint,
    split,
    merge,
    cut,
    outlineOf,
    setOutline: (id, loops) => simple(id, { kind: 'outline', loops }),
    fillHoles: (id) => simple(id, { kind: 'fill_holes' }),
    dropIslands: (id) => simple(id, { kind: 'drop_islands' }),
  };
}
