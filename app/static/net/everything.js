/** Everything mode: the server finds all masks of the photo. */

import { reportError, say } from '../document/messages.js';
import { cancelCall, newTicket, pollProgress, waitingText } from './rpc.js';

/**
 * @typedef {{points_per_side: number, pred_iou_thresh: number, stability_score_thresh: number,
 *            min_mask_region_area: number}} Settings
 * @param {import('../document/state.js').Store} store
 * @param {import('./session.js').Session} session
 * @param {import('./rpc.js').Rpc} rpc
 */
export function makeEverything(store, session, rpc) {
  store.subscribe(({ opening, running }) => {
    if (opening?.replaces && running) cancel();
  });

  /** @param {Settings} settings */
  async function run(settings) {
    const { photo, checkpoint, running, opening } = store.get();
    if (!photo || running || opening) return;
    const ticket = newTicket();
    const isCurrent = () => store.get().running?.ticket === ticket;
    const idle = { everything: null, preview: null, draft: null };
    store.set({ running: { ticket, share: null, text: 'Everything' }, ...idle });
    say(store, 'Looking for everything in the photo.');
    const stop = pollProgress(rpc, ticket, ({ state, ahead, share }) => {
      const text = state === 'waiting' ? waitingText(ahead) : 'Everything';
      if (isCurrent()) store.set({ running: { ticket, share, text } });
    });
    try {
      const answer = await session.call('everything', { checkpoint, ticket, ...settings });
      if (!isCurrent() || store.get().photo.id !== photo.id) return;
      if (answer.cancelled) return void say(store, 'Cancelled.');
      await show(answer, checkpoint);
    } catch (error) {
      if (isCurrent()) reportError(store, error);
    } finally {
      stop();
      if (isCurrent()) store.set({ running: null });
    }
  }

  async function show({ masks, seconds }, checkpoint) {
    const { shapes, about } = store.get();
    // the smallest last, so that they are drawn on top
    const found = [...masks]
      .sort((a, b) => b.area - a.area)
      .map((mask, index) => ({ ...mask, checkpoint, colour: about.colours[index % about.colours.length] }));
    for (const mask of found) await shapes.load(mask.mask, mask.bbox).catch(() => null);
    if (store.get().shapes !== shapes) return;
    store.set({ everything: found.length ? { masks: found, hovered: null } : null });
    say(
      store,
      found.length
        ? `${found.length} masks in ${seconds.toFixed(1)} s. Click one to keep it as a layer.`
        : 'Nothing found; lower the thresholds.',
    );
  }

  function cancel() {
    const { running } = store.get();
    if (!running) return;
    cancelCall(rpc, running.ticket);
    store.set({ running: null }); // its answer will be ignored
    say(store, 'Cancelled.');
  }

  return { run, cancel };
}
