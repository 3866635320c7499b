/** The server finds masks: all of the photo, or those that are like the objects of photos that are done. */

import { labelOf } from '../document/labels.js';
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
  const run = (settings) =>
    find('everything', settings, {
      text: 'Everything',
      nothing: 'Nothing found; lower the thresholds.',
      describe: ({ masks, seconds }) =>
        `${masks.length} masks in ${seconds.toFixed(1)} s. Click one to keep it as a layer.`,
    });

  /** Objects of the classes, learnt from the photos of the folder that are done. */
  const propose = () =>
    find(
      'propose',
      { name: store.get().photo?.source.folderPhoto },
      {
        text: 'Proposals',
        nothing: 'Nothing like the labelled objects was found.',
        describe: ({ masks, photos }) =>
          `${masks.length} proposal${masks.length > 1 ? 's' : ''}, learnt from ${photos} photo${photos > 1 ? 's' : ''}. Click those that are right, or keep all (Enter).`,
      },
    );

  /** What the words name. @param {string} text  "cat. remote control." */
  const findText = (text) =>
    find(
      'find_text',
      { text },
      {
        text: 'Words',
        nothing: 'Nothing of this was found.',
        describe: ({ masks }) => `${masks.length} found. Click those that are right, or keep all (Enter).`,
      },
    );

  /**
   * @param {string} name  of the server's function @param {object} args
   * @param {{text: string, nothing: string, describe: (answer: any) => string}} words
   */
  async function find(name, args, words) {
    const { photo, checkpoint, running, opening } = store.get();
    if (!photo || running || opening) return;
    const ticket = newTicket();
    const isCurrent = () => store.get().running?.ticket === ticket;
    const idle = { everything: null, preview: null, draft: null };
    store.set({ running: { ticket, share: null, text: words.text }, ...idle });
    say(store, `${words.text}: looking at the photo.`);
    const stop = pollProgress(rpc, ticket, ({ state, ahead, share }) => {
      const text = state === 'waiting' ? waitingText(ahead) : words.text;
      if (isCurrent()) store.set({ running: { ticket, share, text } });
    });
    try {
      const answer = await session.call(name, { checkpoint, ticket, ...args });
      if (!isCurrent() || store.get().photo.id !== photo.id) return;
      if (answer.cancelled) return void say(store, 'Cancelled.');
      await show(answer, checkpoint, words);
    } catch (error) {
      if (isCurrent()) reportError(store, error);
    } finally {
      stop();
      if (isCurrent()) store.set({ running: null });
    }
  }

  async function show(answer, checkpoint, words) {
    const { shapes, about, folder } = store.get();
    const labelClass = ({ category, name }) =>
      folder?.classes.find((each) => each.id === category || each.name.toLowerCase() === name?.toLowerCase());
    const look = (mask, index) =>
      labelClass(mask) ? labelOf(labelClass(mask)) : { colour: about.colours[index % about.colours.length] };
    // the smallest last, so that they are drawn on top
    const found = [...answer.masks]
      .sort((a, b) => b.area - a.area)
      .map((mask, index) => ({ ...mask, checkpoint, ...look(mask, index) }));
    for (const mask of found) await shapes.load(mask.mask, mask.bbox).catch(() => null);
    if (store.get().shapes !== shapes) return;
    store.set({ everything: found.length ? { masks: found, hovered: null } : null });
    say(store, found.length ? words.describe(answer) : words.nothing);
  }

  function cancel() {
    const { running } = store.get();
    if (!running) return;
    cancelCall(rpc, running.ticket);
    store.set({ running: null }); // its answer will be ignored
    say(store, 'Cancelled.');
  }

  return { run, propose, findText, cancel };
}
