/**
 * Holds the page's state: one frozen object, replaced as a whole. Listeners are told of each change, once and in order,
 * also when a listener changes the state itself.
 *
 * @template T
 * @param {T} first
 */
export function makeStore(first) {
  let state = Object.freeze({ ...first });
  /** @type {((state: T, before: T) => void)[]} */
  const listeners = [];
  /** @type {[T, T][]} */
  const changes = [];
  let isTelling = false;

  function tell() {
    if (isTelling) return;
    isTelling = true;
    try {
      while (changes.length) {
        const [now, before] = changes.shift();
        for (const listener of listeners) listener(now, before);
      }
    } finally {
      isTelling = false;
    }
  }

  return {
    get: () => state,
    /** @param {Partial<T>} change */
    set(change) {
      const before = state;
      state = Object.freeze({ ...state, ...change });
      changes.push([state, before]);
      tell();
    },
    /** @param {(state: T, before: T) => void} listener */
    subscribe: (listener) => void listeners.push(listener),
  };
}
