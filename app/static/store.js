/**
 * The page's state: one frozen object, replaced as a whole, and those who want to know.
 *
 * @template T
 * @param {T} first
 */
export function makeStore(first) {
  let state = Object.freeze({ ...first });
  /** @type {((state: T, before: T) => void)[]} */
  const listeners = [];
  return {
    get: () => state,
    /** @param {Partial<T>} change */
    set(change) {
      const before = state;
      state = Object.freeze({ ...state, ...change });
      for (const listener of listeners) listener(state, before);
    },
    /** @param {(state: T, before: T) => void} listener */
    subscribe: (listener) => void listeners.push(listener),
  };
}
