/** Prompts -> mask: whenever the prompts, the photo or the checkpoint change, asks the server and shows its masks. */

import { reportError, say } from '../document/messages.js';
import { hasPrompts, predictionKey } from '../document/prompts.js';
import { describeMask } from '../document/selectors.js';
import { newestOnly, retryIfBusy } from './rpc.js';

const CACHED = 60; // predictions; undo and redo need not ask again

/**
 * @typedef {import('../document/state.js').Prediction} Prediction
 * @param {import('../document/state.js').Store} store
 * @param {import('./session.js').Session} session
 * @param {() => Promise<void>} drawn  resolves when the state of now is on the screen
 */
export function predictOnChange(store, session, drawn) {
  /** @type {Map<string, Prediction>} */
  const cache = new Map();

  store.subscribe(({ photo, checkpoint, history, editedAt }, before) => {
    if (photo?.id !== before.photo?.id || checkpoint !== before.checkpoint) predict(performance.now());
    else if (history.present.chain !== before.history.present.chain) predict(editedAt);
  });

  /** @param {number} since  when the person changed something, as event.timeStamp */
  function predict(since) {
    const { photo, checkpoint, history, prediction } = store.get();
    const { chain } = history.present;
    if (!photo || !hasPrompts(history.present)) return store.set({ prediction: null, predicting: false });
    const key = predictionKey(chain);
    if (prediction?.key === key) return store.set({ predicting: false });
    const cached = cache.get(cacheKey(photo, checkpoint, key));
    if (cached) return show(cached, since);
    store.set({ predicting: true });
    return request({ key, chain, since, photo, checkpoint });
  }

  const request = newestOnly(async ({ key, chain, since, photo, checkpoint }) => {
    const isCurrent = () => {
      const now = store.get();
      return (
        now.photo?.id === photo.id && now.checkpoint === checkpoint && predictionKey(now.history.present.chain) === key
      );
    };
    if (!isCurrent()) return;
    try {
      const answer = await retryIfBusy(() => session.call('predict', { checkpoint, chain }));
      if (!isCurrent()) return; // newer prompts are waiting
      if (answer.cancelled) return showNone('No mask.');
      const { candidates, best, refined, decode_ms: decodeMs } = answer;
      // wait only for the mask that is shown; the others follow into their thumbnails
      const first = candidates[chain.at(-1).pick ?? best];
      if (first) await store.get().shapes.load(first.mask);
      const prediction = { key, candidates, best, refined, decodeMs };
      remember(cacheKey(photo, checkpoint, key), prediction);
      if (isCurrent()) await show(prediction, since);
    } catch (error) {
      if (!isCurrent()) return;
      showNone(`No mask: ${error.message}`);
      reportError(store, error);
    }
  });

  function remember(key, prediction) {
    cache.set(key, prediction);
    if (cache.size > CACHED) cache.delete(cache.keys().next().value);
  }

  /** No mask, so that the one of the prompts before is not taken for the answer. @param {string} status */
  function showNone(status) {
    store.set({ prediction: null, predicting: false, preview: null });
    say(store, status);
  }

  /** @param {Prediction} prediction @param {number} since */
  async function show(prediction, since) {
    store.set({ prediction, predicting: false, preview: null, ...decodeTime(prediction.decodeMs) });
    say(store, describeMask(store.get()));
    await drawn();
    const { timing } = store.get();
    const clickMs = Math.max(0, performance.now() - since);
    store.set({ timing: { ...timing, clickMs, clicks: timing.clicks + 1 } });
  }
}

const cacheKey = (photo, checkpoint, key) => `${photo.id} ${checkpoint} ${key}`;

/** Less than a millisecond means that the server still had the answer. @param {number} decodeMs */
export const decodeTime = (decodeMs) => (decodeMs > 1 ? { decodeMs } : {});
