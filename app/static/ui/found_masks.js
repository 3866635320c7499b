/** The masks that everything mode found: the one under the pointer, and making them layers. */

import { edit } from '../document/history.js';
import { nextLabel } from '../document/labels.js';
import { addLayer } from '../document/layers.js';
import { canAddLayers } from '../document/limits.js';
import { say } from '../document/messages.js';
import { contains } from '../view/contours.js';

/**
 * @typedef {import('../document/state.js').FoundMask} FoundMask
 * @param {import('../document/state.js').Store} store
 */
export function makeFoundMasks(store) {
  /** @param {FoundMask[]} masks */
  const show = (masks) => store.set({ everything: masks.length ? { masks, hovered: null } : null });

  /** @param {FoundMask[]} masks  the last one comes to lie on top */
  function addLayers(masks) {
    const { history } = store.get();
    // without the prompts of the grid: alone, they would not give this mask
    const label = nextLabel(store.get());
    const labelled = (mask) => (mask.category === undefined ? { ...mask, ...label } : mask); // a proposal has its class
    const doc = masks.reduce((next, mask) => addLayer(next, { ...labelled(mask), chain: [] }), history.present);
    store.set(edit(store.get(), doc));
  }

  /** The smallest mask at a spot, or null. @param {import('../document/prompts.js').Spot} at  photo pixels */
  function indexAt(at) {
    const { everything, shapes } = store.get();
    const index = everything.masks.findLastIndex(({ mask }) => {
      const shape = shapes.get(mask);
      return shape && contains(shape, at);
    });
    return index < 0 ? null : index;
  }

  /** @param {import('../document/prompts.js').Spot | null} at */
  function hover(at) {
    const { everything } = store.get();
    const hovered = at && indexAt(at);
    if (hovered !== everything.hovered) store.set({ everything: { ...everything, hovered } });
  }

  /** The mask at a spot becomes a layer. @param {import('../document/prompts.js').Spot} at */
  function keepAt(at) {
    const index = indexAt(at);
    if (index === null) return say(store, 'No mask here.');
    if (!canAddLayers(store, 1)) return undefined;
    const { masks } = store.get().everything;
    const rest = masks.filter((_, other) => other !== index);
    show(rest);
    addLayers([masks[index]]);
    return say(store, `Kept as a layer: ${masks[index].area.toLocaleString('en')} pixels. ${rest.length} left.`);
  }

  function keepAll() {
    const masks = store.get().everything?.masks ?? [];
    if (!masks.length || !canAddLayers(store, masks.length)) return;
    show([]);
    addLayers(masks);
    say(store, masks.length > 1 ? `${masks.length} layers.` : `${masks[0].name ?? 'The mask'} is a layer.`);
  }

  function dismiss() {
    if (!store.get().everything) return;
    show([]);
    say(store, 'Everything dismissed.');
  }

  return { hover, keepAt, keepAll, dismiss };
}
