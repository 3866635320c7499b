/**
 * Messages to the person, put into the state; panel.js and toasts.js show them.
 *
 * @typedef {import('./state.js').Store} Store
 */

/** Set the status line. @param {Store} store @param {string} status */
export const say = (store, status) => store.set({ status });

/** Show a message over the stage for some seconds. @param {Store} store @param {string} text */
export const notify = (store, text) => store.set({ notice: { text } });

/** Show an error; one without a kind is a mistake in the page. @param {Store} store @param {any} error */
export const reportError = (store, error) =>
  notify(store, error.kind ? error.message : `Something went wrong in the page: ${error.message}`);
