/** Commands: what has a key or a button, by name. keys.js and controls.js call them. */

import { say } from '../document/messages.js';
import { fit } from '../view/viewport.js';
import { everythingSettings, part } from './panel.js';

const ZOOM_STEP = 1.4;

/**
 * @param {HTMLElement} root
 * @param {import('../document/state.js').Store} store
 * @param {{actions: ReturnType<typeof import('./actions.js').makeActions>,
 *          foundMasks: ReturnType<typeof import('./found_masks.js').makeFoundMasks>,
 *          everything: ReturnType<typeof import('../net/everything.js').makeEverything>,
 *          keep: () => Promise<void>, zoomBy: (factor: number) => void, abandonGesture: () => boolean}} parts
 * @returns {Record<string, () => void>}
 */
export function makeCommands(root, store, { actions, foundMasks, everything, keep, zoomBy, abandonGesture }) {
  const setMode = (mode) => store.set({ mode, draft: null, preview: null });
  return {
    undo: actions.undo,
    redo: actions.redo,
    delete: actions.remove,
    clear: actions.clear,
    keep,
    'thumb-0': () => actions.choose(0),
    'thumb-1': () => actions.choose(1),
    'thumb-2': () => actions.choose(2),
    refine: actions.refine,
    'mode-object': () => setMode('object'),
    'mode-background': () => setMode('background'),
    'mode-box': () => setMode('box'),
    'mode-pan': () => setMode('pan'),
    'switch-label': () => {
      const isObject = store.get().mode !== 'object';
      setMode(isObject ? 'object' : 'background');
      say(store, isObject ? 'Clicks add object points.' : 'Clicks add background points.');
    },
    hide: () => {
      const hidden = !store.get().hidden;
      store.set({ hidden, preview: null });
      say(store, hidden ? 'Masks hidden; H shows them again.' : 'Masks shown.');
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
    'everything-cancel': everything.cancel,
    'everything-dismiss': foundMasks.dismiss,
    'everything-all': foundMasks.keepAll,
    escape: () => {
      const { draft, everything: found, running } = store.get();
      if (abandonGesture() || draft) store.set({ draft: null, preview: null });
      else if (running) everything.cancel();
      else if (found) foundMasks.dismiss();
      else actions.clear();
    },
  };
}
