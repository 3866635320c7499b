/** The brush and the eraser: a drag, a click or the space key draws on the selected layer, or makes a new one. */

import { say } from '../document/messages.js';
import { hasObjectPrompt } from '../document/prompts.js';
import { nextColour, selectedLayer } from '../document/selectors.js';

const STEP = 1.25; // of its size
const MOST = 4000; // photo pixels
const LEAST_MOVE = 0.04; // of the diameter, between two points of a stroke

/**
 * @param {import('../document/state.js').Store} store
 * @param {import('../net/mask_edits.js').MaskEdits} maskEdits
 * @param {() => Promise<void>} keep  the current object becomes a layer
 */
export function makeBrush(store, maskEdits, keep) {
  /** @type {import('../document/state.js').Stroke | null} being drawn */
  let stroke = null;

  const isOn = () => ['brush', 'eraser'].includes(store.get().mode);

  /** @param {import('../document/prompts.js').Spot} spot  photo pixels @param {boolean} isOther  the eraser instead of the brush, or the other way round */
  function start(spot, isOther) {
    const state = store.get();
    const layer = selectedLayer(state);
    const erase = (state.mode === 'eraser') !== isOther;
    if (!layer && !hasObjectPrompt(state.history.present) && erase) {
      return say(store, 'Select a layer to erase from.');
    }
    const colour = layer?.colour ?? nextColour(state);
    stroke = { points: [[spot.x, spot.y]], diameter: state.brush, erase, layer: layer?.id ?? null, colour };
    return show();
  }

  function to(spot) {
    store.set({ brushAt: spot });
    if (!stroke) return;
    const [x, y] = stroke.points.at(-1);
    if (Math.hypot(spot.x - x, spot.y - y) < Math.max(0.5, stroke.diameter * LEAST_MOVE)) return;
    stroke = { ...stroke, points: [...stroke.points, [spot.x, spot.y]] };
    show();
  }

  const show = () => {
    const rest = store.get().strokes.filter((each) => !each.isOpen);
    store.set({ strokes: stroke ? [...rest, { ...stroke, isOpen: true }] : rest });
  };

  async function end() {
    const finished = stroke;
    stroke = null;
    if (!finished) return;
    // the mask on the stage is what a person wants to correct: it becomes a layer first
    if (finished.layer === null && hasObjectPrompt(store.get().history.present)) {
      await keep();
      finished.layer = selectedLayer(store.get())?.id ?? null;
    }
    show();
    await maskEdits.paint(finished);
  }

  function cancel() {
    stroke = null;
    show();
  }

  /** @param {-1 | 1} by */
  function resize(by) {
    const brush = Math.min(
      MOST,
      Math.max(1, Math.round(store.get().brush * STEP ** by) + (store.get().brush < 4 ? by : 0)),
    );
    setSize(brush);
  }

  function setSize(brush) {
    store.set({ brush });
    say(store, `Brush: ${brush} pixels of the photo.`);
  }

  return {
    isOn,
    start,
    to,
    end,
    cancel,
    resize,
    setSize,
    /** One dab. @param {import('../document/prompts.js').Spot} spot @param {boolean} isOther */
    dab(spot, isOther) {
      start(spot, isOther);
      return end();
    },
  };
}
