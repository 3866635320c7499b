/** Everything mode: all masks of the photo, to choose layers from. */

import { followProgress, newTicket, waitingText } from './wire.js';

/**
 * @param {import('./state.js').App} app
 * @param {{addLayers: (objects: object[]) => void, hasRoom: (more: number) => boolean}} layers
 */
export function makeEverything(app, { addLayers, hasRoom }) {
  const { store, wire } = app;

  /** @param {{points_per_side: number, pred_iou_thresh: number, stability_score_thresh: number, min_mask_region_area: number}} settings */
  async function run(settings) {
    const { photo, checkpoint, running, opening } = store.get();
    if (!photo || running || opening) return;
    const ticket = newTicket();
    const isOurs = () => store.get().running?.ticket === ticket;
    store.set({ running: { ticket, share: null, text: 'Everything' }, everything: null, look: null, draft: null });
    app.say('Looking for everything in the photo.');
    const stop = followProgress(wire, ticket, ({ state, ahead, share }) => {
      const text = state === 'waiting' ? waitingText(ahead) : 'Everything';
      if (isOurs()) store.set({ running: { ticket, share, text } });
    });
    try {
      const answer = await app.ask('everything', { checkpoint, ticket, ...settings });
      if (!isOurs() || store.get().photo.id !== photo.id) return;
      if (answer.cancelled) return void app.say('Cancelled.');
      await show(answer, checkpoint);
    } catch (error) {
      if (isOurs()) app.fail(error);
    } finally {
      stop();
      if (isOurs()) store.set({ running: null });
    }
  }

  async function show({ masks, seconds }, checkpoint) {
    const { shapes, about } = store.get();
    // small ones on top: they are found under the pointer first
    const found = [...masks]
      .sort((a, b) => b.area - a.area)
      .map((mask, index) => ({ ...mask, checkpoint, colour: about.colours[index % about.colours.length] }));
    for (const mask of found) await shapes.load(mask.mask, mask.bbox).catch(() => null);
    if (store.get().shapes !== shapes) return;
    store.set({ everything: found.length ? { masks: found, hot: null } : null });
    app.say(
      found.length
        ? `${found.length} masks in ${seconds.toFixed(1)} s. Click one to keep it as a layer.`
        : 'Nothing found; lower the thresholds.',
    );
  }

  function cancel() {
    const { running } = store.get();
    if (!running) return;
    wire.call('cancel', { ticket: running.ticket }).catch(() => {});
    store.set({ running: null }); // the answer, whenever it comes, is nobody's
    app.say('Cancelled.');
  }

  function dismiss() {
    if (!store.get().everything) return;
    store.set({ everything: null });
    app.say('Everything dismissed.');
  }

  /** The smallest mask at a spot, or null. @param {{x: number, y: number}} at  photo pixels */
  function indexAt(at) {
    const { everything, shapes } = store.get();
    for (let index = everything.masks.length - 1; index >= 0; index--) {
      const shape = shapes.get(everything.masks[index].mask);
      if (shape && probe.isPointInPath(shape.path, at.x, at.y, 'evenodd')) return index;
    }
    return null;
  }

  function hover(at) {
    const { everything } = store.get();
    const hot = at && indexAt(at);
    if (hot !== everything.hot) store.set({ everything: { ...everything, hot } });
  }

  /** The mask at a spot becomes a layer. */
  function take(at) {
    const index = indexAt(at);
    if (index === null) return void app.say('No mask here.');
    const { masks } = store.get().everything;
    if (!hasRoom(1)) return undefined;
    const rest = masks.filter((_, other) => other !== index);
    store.set({ everything: rest.length ? { masks: rest, hot: null } : null });
    addLayers([asObject(masks[index])]);
    app.say(`Kept as a layer: ${masks[index].area.toLocaleString('en')} pixels. ${rest.length} left.`);
    return undefined;
  }

  function takeAll() {
    const masks = store.get().everything?.masks ?? [];
    if (!masks.length || !hasRoom(masks.length)) return;
    store.set({ everything: null });
    addLayers(masks.map(asObject));
    app.say(`${masks.length} layers.`);
  }

  return { run, cancel, dismiss, hover, take, takeAll };
}

const probe = new OffscreenCanvas(1, 1).getContext('2d');

/** A mask as a layer wants it. No prompts: those of everything mode's grid would not give this very mask. */
const asObject = ({ rle, mask, area, iou, colour, checkpoint }) => ({
  rle,
  mask,
  area,
  iou,
  colour,
  checkpoint,
  chain: [],
});
