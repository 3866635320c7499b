/** What has a key, and mostly a button too: by name. See keys.js for which key. */

import { everythingSettings, part } from './panel.js';
import { fit } from './view.js';

const ZOOM_STEP = 1.4;

/**
 * @param {import('./state.js').App} app
 * @param {{actions: any, everything: any, zoomBy: (factor: number) => void, abandon: () => boolean}} parts
 * @returns {Record<string, (...args: any[]) => void>}
 */
export function makeCommands(app, { actions, everything, zoomBy, abandon }) {
  const { store, root } = app;
  const setMode = (mode) => store.set({ mode, draft: null, look: null });
  return {
    undo: actions.undo,
    redo: actions.redo,
    delete: actions.remove,
    clear: actions.clear,
    keep: actions.keep,
    'pick-0': () => actions.choose(0),
    'pick-1': () => actions.choose(1),
    'pick-2': () => actions.choose(2),
    mode: setMode,
    'other-label': () => {
      const isObject = store.get().mode !== 'object';
      setMode(isObject ? 'object' : 'background');
      app.say(isObject ? 'A click says: object.' : 'A click says: background.');
    },
    hide: () => {
      store.set({ hidden: !store.get().hidden, look: null });
      app.say(store.get().hidden ? 'Masks hidden; H shows them again.' : 'Masks shown.');
    },
    'zoom-in': () => zoomBy(ZOOM_STEP),
    'zoom-out': () => zoomBy(1 / ZOOM_STEP),
    'zoom-fit': () => {
      const { photo, stage } = store.get();
      if (photo) store.set({ view: fit(photo, stage) });
    },
    help: () => part(root, 'help-dialog').showModal(),
    everything: () => {
      if (store.get().running) return;
      const details = root.querySelector('.rs-everything');
      details.open = true;
      details.scrollIntoView({ block: 'nearest' });
      everything.run(everythingSettings(root));
    },
    'everything-run': () => everything.run(everythingSettings(root)),
    escape: () => {
      const { draft, everything: found, running } = store.get();
      if (abandon() || draft) store.set({ draft: null, look: null });
      else if (running) everything.cancel();
      else if (found) everything.dismiss();
      else actions.clear();
    },
  };
}
