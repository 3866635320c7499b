/** The corners of the selected layer's edge: dragged, inserted and deleted in outline mode. */

import { say } from '../document/messages.js';
import { cornerAt, edgeAt, insertCorner, moveCorner, removeCorner } from '../document/outline.js';
import { selectedLayer } from '../document/selectors.js';

/**
 * @typedef {import('../document/prompts.js').Spot} Spot
 * @param {import('../document/state.js').Store} store
 * @param {import('../net/mask_edits.js').MaskEdits} maskEdits
 */
export function makeOutlining(store, maskEdits) {
  /** @type {{loop: number, index: number} | null} moved by the arrow keys */
  let held = null;
  let pending = 0; // edits on their way: until they are done, the corners on the stage are newer than the mask

  // the outline follows the selected layer, and undo
  store.subscribe((state, before) => {
    if (state.mode === before.mode && state.history === before.history) return undefined;
    const layer = state.mode === 'outline' ? selectedLayer(state) : null;
    if (state.outline && state.outline.layer === layer?.id && state.outline.rle === layer.rle) return;
    if (pending && layer && state.outline?.layer === layer.id) {
      return store.set({ outline: { ...state.outline, rle: layer.rle } });
    }
    held = null;
    if (state.outline) store.set({ outline: null, touched: null });
    if (layer) show(layer);
    else if (state.mode === 'outline' && before.mode !== 'outline') say(store, 'Select a layer to change its outline.');
    return undefined;
  });

  /** @param {import('../document/prompts.js').Layer} layer */
  async function show(layer) {
    const loops = await maskEdits.outlineOf(layer).catch(() => null);
    const now = selectedLayer(store.get());
    if (!loops || now?.rle !== layer.rle || store.get().mode !== 'outline') return;
    store.set({ outline: { layer: layer.id, rle: layer.rle, loops } });
    const count = loops.reduce((sum, loop) => sum + loop.length, 0);
    say(store, `${layer.name}: ${count} corners. Drag one; click the edge for another; right-click or Del deletes it.`);
  }

  /** @param {[number, number][][]} loops @param {{loop: number, index: number} | null} corner  stays selected */
  async function set(loops, corner) {
    const { outline } = store.get();
    const touched = corner && /** @type {const} */ ({ kind: 'vertex', ...corner });
    store.set({ outline: { ...outline, loops }, draft: null, touched });
    pending += 1;
    await maskEdits.setOutline(outline.layer, loops);
    pending -= 1;
  }

  /** @param {Spot} spot @param {number} reach  photo pixels */
  function targetAt(spot, reach) {
    const { outline } = store.get();
    const corner = outline && cornerAt(outline.loops, spot, reach);
    return corner && /** @type {const} */ ({ kind: 'vertex', ...corner });
  }

  /** A click on the edge adds a corner; with the other button, one on a corner deletes it. */
  function tap(spot, isOther, reach) {
    const { outline, photo } = store.get();
    if (!outline) return;
    const corner = cornerAt(outline.loops, spot, reach);
    if (isOther) return void (corner && remove(corner));
    const edge = edgeAt(outline.loops, spot, reach);
    if (corner || !edge) return;
    set(insertCorner(outline.loops, edge, spot, photo), { loop: edge.loop, index: edge.index + 1 });
  }

  const remove = (corner) => set(removeCorner(store.get().outline.loops, corner), null);

  const moved = (corner, to) => moveCorner(store.get().outline.loops, corner, to, store.get().photo);

  /** The space key: take the corner at the crosshair, or make one; then put it down. */
  function space(spot, reach) {
    const { outline } = store.get();
    if (!outline) return;
    if (held) {
      const corner = held;
      held = null;
      set(moved(corner, spot), corner);
      return;
    }
    const corner = cornerAt(outline.loops, spot, reach);
    if (!corner) return tap(spot, false, reach);
    held = corner;
    store.set({ touched: { kind: 'vertex', ...corner } });
    say(store, 'Corner taken: the arrow keys move it, Space puts it down.');
  }

  /** The crosshair has moved. @param {Spot} spot */
  const follow = (spot) => held && store.set({ draft: { loops: moved(held, spot) } });

  return {
    isOn: () => store.get().mode === 'outline',
    targetAt,
    tap,
    space,
    follow,
    drag: (corner, to) => store.set({ draft: { loops: moved(corner, to) }, touched: corner }),
    drop: (corner, to) => set(moved(corner, to), corner),
    /** @returns {boolean} whether there was one to delete */
    removeTouched() {
      const { touched, outline } = store.get();
      if (!outline || touched?.kind !== 'vertex') return false;
      remove(touched);
      return true;
    },
    /** @returns {boolean} whether a corner was held */
    letGo() {
      const wasHeld = Boolean(held);
      held = null;
      if (wasHeld) store.set({ draft: null });
      return wasHeld;
    },
  };
}
