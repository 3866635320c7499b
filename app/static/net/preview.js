/** Previews: the mask that a click under the mouse would give, and the mask of a prompt while it is dragged. */

import { wantsPreview } from '../document/selectors.js';
import { decodeTime } from './predict.js';
import { newestOnly, sleep } from './rpc.js';

const PAUSE_MS = 30;
const SLOW_MS = 400;
const JUDGED = 5; // previews

/**
 * @typedef {ReturnType<typeof makePreviews>} Previews
 * @param {import('../document/state.js').Store} store
 * @param {import('./session.js').Session} session
 * @param {import('./rpc.js').Call} call  without retries: after those, the mouse is elsewhere
 * @param {() => Promise<void>} drawn  resolves when the state of now is on the screen
 */
export function makePreviews(store, session, call, drawn) {
  /** @type {number[]} milliseconds of the newest previews */
  let durations = [];

  const isWanted = () => wantsPreview(store.get());

  const request = newestOnly(async ({ x, y }) => {
    if (!isWanted()) return;
    const { photo, checkpoint } = store.get();
    const since = performance.now();
    const answer = await session.call('hover', { checkpoint, x, y }, call).catch(() => null);
    if (!answer || answer.cancelled) return void (await sleep(PAUSE_MS));
    switchOffIfSlow(performance.now() - since);
    const { shapes } = store.get();
    const isStillWanted = () => store.get().photo?.id === photo.id && isWanted() && store.get().pointed;
    if (!isStillWanted()) return;
    const preview = await shapes.load(answer.mask).catch(() => null);
    if (!preview || !isStillWanted()) return;
    store.set({ preview, ...decodeTime(answer.decode_ms) });
    await drawn();
    const { timing } = store.get();
    store.set({ timing: { ...timing, hoverMs: performance.now() - since, hovers: timing.hovers + 1 } });
    await sleep(PAUSE_MS);
  });

  /** A preview that lags is worse than none, unless the person switched it on. @param {number} ms */
  function switchOffIfSlow(ms) {
    durations = [...durations, ms].slice(-JUDGED);
    const median = [...durations].sort((a, b) => a - b)[durations.length >> 1];
    if (store.get().hover.asked || durations.length < JUDGED || median <= SLOW_MS) return;
    const note = `switched off, it took ${Math.round(median)} ms`;
    store.set({ hover: { on: false, asked: false, note }, preview: null });
  }

  /** Under the mouse. @param {import('../document/prompts.js').Spot} at  photo pixels */
  function hoverAt(at) {
    if (isWanted()) request(at);
  }

  /** Of a document in which a prompt is being dragged. @type {(doc: import('../document/prompts.js').Doc) => Promise<void>} */
  const drag = newestOnly(async ({ chain }) => {
    const { hover, checkpoint, shapes, draft } = store.get();
    if (!hover.on || !draft?.doc) return;
    const answer = await session.call('predict', { checkpoint, chain }, call).catch(() => null);
    const candidate = answer?.candidates?.[answer.best];
    const preview = candidate && (await shapes.load(candidate.mask).catch(() => null));
    if (!preview || !store.get().draft?.doc || store.get().shapes !== shapes) return;
    store.set({ preview });
    await drawn();
  });

  /** The person's choice. @param {boolean} on */
  function switchHover(on) {
    durations = [];
    store.set({ hover: { on, asked: on, note: '' }, preview: null });
  }

  return { hoverAt, drag, switchHover };
}
