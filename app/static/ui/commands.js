/** Commands: what has a key or a button, by name. keys.js and controls.js call them. */

import { neighbour } from '../document/layers.js';
import { say } from '../document/messages.js';
import { selectedLayer, shownIndex } from '../document/selectors.js';
import { fit } from '../view/viewport.js';
import { everythingSettings, part } from './panel.js';

const ZOOM_STEP = 1.4;
const MODES = {
  object: 'Clicks add object points.',
  background: 'Clicks add background points.',
  box: 'Drag a box, or click two corners.',
  pan: 'Drag the photo.',
  brush: 'Draw on the selected layer; the right button erases; [ and ] change the size.',
  eraser: 'Erase from the selected layer; the right button draws; [ and ] change the size.',
  outline: 'Drag the corners of the selected layer.',
};

/**
 * @param {HTMLElement} root
 * @param {import('../document/state.js').Store} store
 * @param {{actions: ReturnType<typeof import('./actions.js').makeActions>,
 *          foundMasks: ReturnType<typeof import('./found_masks.js').makeFoundMasks>,
 *          everything: ReturnType<typeof import('../net/everything.js').makeEverything>,
 *          keep: () => Promise<void>, zoomBy: (factor: number) => void, abandonGesture: () => boolean,
 *          brush: ReturnType<typeof import('./brush.js').makeBrush>,
 *          outlining: ReturnType<typeof import('./outlining.js').makeOutlining>,
 *          maskEdits: import('../net/mask_edits.js').MaskEdits,
 *          folder: import('../net/folder.js').FolderCalls}} parts
 * @returns {Record<string, () => void>}
 */
export function makeCommands(root, store, parts) {
  const { actions, foundMasks, everything, keep, zoomBy, abandonGesture, outlining } = parts;
  const setMode = (mode) => {
    store.set({ mode, draft: null, preview: null });
    say(store, MODES[mode]);
  };
  return {
    ...editCommands(store, parts),
    ...folderCommands(root, store, parts),
    undo: actions.undo,
    redo: actions.redo,
    delete: () => outlining.removeTouched() || actions.remove(),
    clear: actions.clear,
    keep: () => (areProposals(store.get()) ? foundMasks.keepAll() : keep()),
    'thumb-0': () => actions.choose(0),
    'thumb-1': () => actions.choose(1),
    'thumb-2': () => actions.choose(2),
    refine: actions.refine,
    'mode-object': () => setMode('object'),
    'mode-background': () => setMode('background'),
    'mode-box': () => setMode('box'),
    'mode-pan': () => setMode('pan'),
    'mode-brush': () => setMode('brush'),
    'mode-eraser': () => setMode('eraser'),
    'mode-outline': () => setMode('outline'),
    'next-candidate': () => {
      const index = shownIndex(store.get());
      if (index !== null) actions.choose((index + 1) % store.get().prediction.candidates.length);
    },
    'switch-label': () => {
      const isObject = store.get().mode !== 'object';
      setMode(isObject ? 'object' : 'background');
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
    'find-text': () => {
      const text = part(root, 'find-words').value.trim();
      if (text) everything.findText(text);
      else part(root, 'find-words').focus();
    },
    'everything-run': () => everything.run(everythingSettings(root)),
    'everything-cancel': everything.cancel,
    'everything-dismiss': foundMasks.dismiss,
    'everything-all': foundMasks.keepAll,
    escape: () => {
      const { draft, everything: found, running } = store.get();
      if (abandonGesture() || outlining.letGo() || draft) store.set({ draft: null, preview: null });
      else if (running) everything.cancel();
      else if (found) foundMasks.dismiss();
      else actions.clear();
    },
  };
}

/** Whether the masks on the stage are proposals, which have classes, or have names. */
const areProposals = ({ everything }) =>
  everything?.masks.some(({ category, name }) => category !== undefined || name !== undefined);

/** Corrections of the selected layer by hand. */
function editCommands(store, { actions, brush, maskEdits }) {
  const onSelected = (act) => () => {
    const layer = selectedLayer(store.get());
    if (layer) act(layer);
    else say(store, 'Select a layer first (J, K, or click it in the list).');
  };
  /** @param {-1 | 1} by */
  const select = (by) => {
    const { present } = store.get().history;
    const layer = neighbour(present, present.selected, by);
    if (!layer) return;
    actions.selectLayer(layer.id);
    say(store, `${layer.name} selected.`);
  };
  return {
    'brush-smaller': () => brush.resize(-1),
    'brush-larger': () => brush.resize(1),
    'layer-above': () => select(-1),
    'layer-below': () => select(1),
    'fill-holes': onSelected(({ id }) => maskEdits.fillHoles(id)),
    'drop-islands': onSelected(({ id }) => maskEdits.dropIslands(id)),
    split: onSelected(({ id }) => maskEdits.split(id)),
    cut: onSelected(({ id }) => maskEdits.cut(id)),
    merge: onSelected((layer) => {
      const below = neighbour(store.get().history.present, layer.id, 1);
      if (below) maskEdits.merge(layer.id, below.id);
      else say(store, 'There is no layer below to merge with.');
    }),
  };
}

/** What only the page that labels a folder has. */
function folderCommands(root, store, { folder, actions, everything }) {
  const chooseClass = (number) => {
    const { classes } = store.get().folder;
    const chosen = classes[number - 1];
    if (chosen) actions.chooseClass(chosen);
    else say(store, `There are ${classes.length} classes; "." adds one.`);
  };
  const digits = Array.from('123456789', (digit) => [`class-${digit}`, () => chooseClass(Number(digit))]);
  return {
    'next-photo': folder.next,
    'previous-photo': folder.previous,
    'untouched-photo': folder.goToUntouched,
    'finish-photo': folder.finish,
    'toggle-done': folder.toggleDone,
    propose: everything.propose,
    'add-class': () => part(root, 'class-new').focus(),
    ...Object.fromEntries(digits),
  };
}
