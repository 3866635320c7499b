/** Prompts -> mask: asks the server for the newest prompts, shows the answer, measures how long it took. */

import { hasPrompts, prompts, questionOf } from './story.js';
import { evenIfBusy, newestOnly, sleep } from './wire.js';

const REMEMBERED = 60; // answers; undo and redo need not ask again
const HOVER_PAUSE_MS = 30;
const HOVER_SLOW_MS = 400;
const HOVERS_JUDGED = 5;

/**
 * @typedef {{question: string, candidates: {mask: string, iou: number, area: number, share: number}[], best: number,
 *            decodeMs: number}} Answer
 */

/** The candidate that is shown: what the person chose, or what the model thinks best. */
export function shownIndex({ answer, story }) {
  if (!answer?.candidates.length) return null;
  const { pick } = prompts(story.present);
  return isAnswered({ answer, story }) && pick !== null && pick < answer.candidates.length ? pick : answer.best;
}

/** Whether the answer on the screen is the one to the prompts on the screen. */
export const isAnswered = ({ answer, story }) => answer?.question === questionOf(story.present.chain);

/** What a new point refines, see story.addPoint. */
export const seenIndex = (state) => (isAnswered(state) ? shownIndex(state) : null);

/** @param {import('./state.js').App} app */
export function makeAsking(app) {
  const { store } = app;
  /** @type {Map<string, Answer>} */
  const answers = new Map();

  const keyOf = ({ photo, checkpoint }, question) => `${photo.id} ${checkpoint} ${question}`;

  /** Bring the mask up to date with the prompts. @param {number} since  when the person did it, as event.timeStamp */
  function refresh(since = performance.now()) {
    const state = store.get();
    const { chain } = state.story.present;
    if (!state.photo || !hasPrompts(state.story.present)) return store.set({ answer: null, asking: false });
    const question = questionOf(chain);
    if (state.answer?.question === question) return store.set({ asking: false });
    const key = keyOf(state, question);
    const known = answers.get(key);
    if (known) return show(known, since);
    store.set({ asking: true });
    return ask({ key, question, chain, since, photo: state.photo, checkpoint: state.checkpoint });
  }

  const ask = newestOnly(async ({ key, question, chain, since, photo, checkpoint }) => {
    const isCurrent = () => {
      const now = store.get();
      return (
        now.photo?.id === photo.id && now.checkpoint === checkpoint && questionOf(now.story.present.chain) === question
      );
    };
    if (!isCurrent()) return;
    try {
      const {
        cancelled,
        candidates,
        best,
        decode_ms: decodeMs,
      } = await evenIfBusy(() => app.ask('predict', { checkpoint, chain }));
      if (!isCurrent()) return; // a newer question is waiting
      if (cancelled) return nothing('No mask.');
      // only the one that is shown is waited for; the others follow into their thumbnails
      const first = candidates[chain.at(-1).pick ?? best];
      if (first) await store.get().shapes.load(first.mask);
      const answer = { question, candidates, best, decodeMs };
      answers.set(key, answer);
      if (answers.size > REMEMBERED) answers.delete(answers.keys().next().value);
      if (isCurrent()) await show(answer, since);
    } catch (error) {
      if (!isCurrent()) return;
      nothing(`No mask: ${error.message}`);
      app.fail(error);
    }
  });

  /** The mask of the prompts before must not pass for the answer to these. */
  function nothing(sentence) {
    store.set({ answer: null, asking: false, look: null });
    app.say(sentence);
  }

  async function show(answer, since) {
    store.set({ answer, asking: false, look: null, ...timed(answer.decodeMs) });
    app.say(describe(store.get()));
    await app.drawn();
    const clickMs = Math.max(0, performance.now() - since);
    app.root.dataset.clickMs = clickMs.toFixed(1);
    app.root.dataset.clicks = String(Number(app.root.dataset.clicks) + 1);
    store.set({ clickMs });
  }

  /** @type {number[]} */
  let trips = [];

  const look = newestOnly(async ({ x, y }) => {
    const { photo, checkpoint } = store.get();
    if (!wantsLook(store.get())) return;
    const since = performance.now();
    // no patience: the mouse will be elsewhere by then
    const answer = await app.ask('hover', { checkpoint, x, y }, app.wire.call).catch(() => null);
    if (!answer || answer.cancelled) return void (await sleep(HOVER_PAUSE_MS));
    judge(performance.now() - since);
    const state = store.get();
    if (state.photo?.id !== photo.id || !wantsLook(state) || !state.pointed) return;
    const shape = await state.shapes.load(answer.mask).catch(() => null);
    if (!shape || !wantsLook(store.get()) || !store.get().pointed) return;
    store.set({ look: shape, ...timed(answer.decode_ms) });
    await app.drawn();
    app.root.dataset.hoverMs = (performance.now() - since).toFixed(1);
    app.root.dataset.hovers = String(Number(app.root.dataset.hovers) + 1);
    await sleep(HOVER_PAUSE_MS);
  });

  /** The mask of a prompt that is being dragged, where the server is quick enough for previews. */
  const preview = newestOnly(async ({ chain }) => {
    const { hover, checkpoint, shapes, draft } = store.get();
    if (!hover.on || !draft?.doc) return;
    const answer = await app.ask('predict', { checkpoint, chain }, app.wire.call).catch(() => null);
    const seen = answer?.candidates?.[answer.best];
    const shape = seen && (await shapes.load(seen.mask).catch(() => null));
    if (!shape || !store.get().draft?.doc || store.get().shapes !== shapes) return;
    store.set({ look: shape });
    await app.drawn();
  });

  /** A preview that lags is worse than none. Whoever switches it on again has decided. */
  function judge(ms) {
    trips = [...trips, ms].slice(-HOVERS_JUDGED);
    const median = [...trips].sort((a, b) => a - b)[trips.length >> 1];
    const { hover } = store.get();
    if (hover.asked || trips.length < HOVERS_JUDGED || median <= HOVER_SLOW_MS) return;
    store.set({
      hover: { on: false, asked: false, note: `switched off, it took ${Math.round(median)} ms` },
      look: null,
    });
  }

  // only where a click would give this very mask
  const wantsLook = ({ photo, hover, story, everything, running, opening, mode, draft, hidden }) =>
    Boolean(photo) &&
    hover.on &&
    mode === 'object' &&
    !hasPrompts(story.present) &&
    !everything &&
    !running &&
    !opening &&
    !draft &&
    !hidden;

  /** @param {{x: number, y: number}} at  photo pixels */
  function hoverAt(at) {
    if (wantsLook(store.get())) look(at);
  }

  function switchHover(on) {
    trips = [];
    store.set({ hover: { on, asked: on, note: '' }, look: null });
  }

  return { refresh, hoverAt, preview, switchHover };
}

// less is no decoding but an answer the server still had
const timed = (decodeMs) => (decodeMs > 1 ? { decodeMs } : {});

/** For the status line. */
export function describe(state) {
  const index = shownIndex(state);
  if (index === null) {
    const { points } = prompts(state.story.present);
    return points.length ? 'Background only; add an object point or a box.' : 'No mask.';
  }
  const { area, iou } = state.answer.candidates[index];
  return `Mask ${index + 1} of ${state.answer.candidates.length}: ${area.toLocaleString('en')} pixels, predicted IoU ${iou.toFixed(2)}`;
}
