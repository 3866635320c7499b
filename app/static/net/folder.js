/** The folder whose photos are labelled: its list, its classes, and going from photo to photo. */

import { amend } from '../document/history.js';
import { changePhoto, historyOf, nextOf, withClassNames } from '../document/labels.js';
import { notify, reportError, say } from '../document/messages.js';
import { hasObjectPrompt } from '../document/prompts.js';
import { saveFile } from './downloads.js';
import { sleep } from './rpc.js';

const ASK_MS = 3000;
const UNSAVED_MS = 5000;

/**
 * @typedef {ReturnType<typeof makeFolder>} FolderCalls
 * @param {import('../document/state.js').Store} store
 * @param {import('./rpc.js').Rpc} rpc
 * @param {ReturnType<typeof import('./photos.js').makePhotos>} photos
 * @param {ReturnType<typeof import('./save_labels.js').makeSaving>} saving
 * @param {() => Promise<any>} settled  resolves when what is being kept and drawn is part of the document
 */
export function makeFolder(store, rpc, photos, saving, settled) {
  const fail = (error) => reportError(store, error);
  const change = (part) => store.set({ folder: { ...store.get().folder, ...part } });

  // names and colours follow the classes, also after undo
  store.subscribe(({ folder, history }) => {
    if (!folder) return;
    const doc = withClassNames(history.present, folder.classes);
    if (doc !== history.present) store.set(amend(store.get(), doc));
  });

  /** Open the folder at its first untouched photo. @param {string} title */
  async function start(title) {
    const answer = await rpc.callWithRetries('folder', {});
    const { classes } = answer;
    const folder = { title, index: -1, active: classes[0]?.id ?? null, saving: 'saved', ...listed(answer) };
    store.set({ folder: /** @type {any} */ (folder) });
    await Promise.race([saving.start(answer.identity), sleep(UNSAVED_MS)]); // what a reload left
    if (answer.windows) sayOthers();
    if (answer.not_here) {
      notify(
        store,
        `${answer.file} has ${answer.not_here} more photos, which are not in this folder. They stay in the file.`,
      );
    }
    window.addEventListener('pagehide', () => void rpc.call('leave_folder', {}).catch(() => {}));
    window.addEventListener('beforeunload', (event) => saving.isSaved() || event.preventDefault());
    setInterval(ask, ASK_MS);
    const first = nextOf(store.get().folder, ['untouched']);
    await goTo(Math.max(0, first)).catch(fail);
  }

  const listed = ({ photos: list, classes, session, version, windows, file, identity, most }) => ({
    ...{ classes, session, version, windows, file, identity, most },
    photos: list.map(([name, state, count]) => ({ name, state, count, ...saving.unsaved(name) })),
  });

  const sayOthers = () =>
    notify(
      store,
      'This folder is open in another window too. Nothing is overwritten: each sees the changes of the other.',
    );

  /** What other windows have changed. */
  async function ask() {
    const { folder } = store.get();
    const { session, version } = folder;
    const answer = await rpc.call('folder_changes', { session, version }).catch(() => null);
    if (!answer) return;
    if (answer.windows && !folder.windows) sayOthers();
    if (answer.restarted) return answer.identity === folder.identity ? relist() : sayOtherFolder();
    const { classes = store.get().folder.classes, windows } = answer;
    const at = new Map(store.get().folder.photos.map(({ name }, index) => [name, index]));
    let next = store.get().folder;
    for (const [name, state, count] of answer.photos) {
      if (at.has(name)) next = changePhoto(next, at.get(name), { state, count, ...saving.unsaved(name) });
    }
    const isSame = JSON.stringify(classes) === JSON.stringify(next.classes); // the list would be made anew
    change({ photos: next.photos, windows, version: answer.version, ...(isSame ? {} : { classes }) });
  }

  /** After the server has started again. */
  async function relist() {
    const { folder } = store.get();
    const name = folder.photos[folder.index]?.name;
    const next = listed(await rpc.callWithRetries('folder', {}));
    change({ ...next, index: next.photos.findIndex((photo) => photo.name === name) });
  }

  const sayOtherFolder = () => notify(store, 'Another folder is served here now. Load the page again to label it.');

  /** Open a photo. @param {number} index */
  async function goTo(index) {
    const { name } = store.get().folder.photos[index] ?? {};
    if (!name) return;
    if (saving.isUnseen(name)) {
      notify(store, `${name} has changes that are not saved yet. It can be opened when they are.`);
      return;
    }
    await settled();
    change({ index });
    await photos.open(
      { folderPhoto: name },
      {
        historyOf({ labels }) {
          if (labels.without_mask) {
            say(store, `${labels.without_mask} annotations without a mask stay in the file as they are.`);
          }
          const before = saving.historyBefore(name, labels.revision);
          if (before) return before;
          saving.learn(name, labels);
          return historyOf(labels.layers, store.get().folder.classes, store.get().checkpoint);
        },
      },
    );
    encodeAhead();
  }

  /** The next photo is encoded while this one is labelled. */
  function encodeAhead() {
    const { folder, checkpoint } = store.get();
    const next = folder.photos[folder.index + 1];
    if (next) rpc.call('encode_ahead', { name: next.name, checkpoint }).catch(() => {});
  }

  const step = (by) => {
    const { folder } = store.get();
    if (folder.photos[folder.index + by]) return goTo(folder.index + by);
    return say(store, by > 0 ? 'This is the last photo.' : 'This is the first photo.');
  };

  function goToUntouched() {
    const index = nextOf(store.get().folder, ['untouched']);
    if (index < 0) return say(store, 'No photo is untouched.');
    return goTo(index);
  }

  /** @param {'in work' | 'done'} state */
  const mark = (state) => saving.save(store.get().photo.source.folderPhoto, store.get().history.present, state);

  const isOpen = () => {
    const { folder, photo, opening } = store.get();
    return !opening && photo?.source.folderPhoto === folder.photos[folder.index]?.name;
  };

  const sayNotOpen = () => say(store, 'This photo is not open; N goes on to the next.');

  function toggleDone() {
    const { folder } = store.get();
    if (!isOpen()) return void sayNotOpen();
    const isDone = folder.photos[folder.index].state === 'done';
    mark(isDone ? 'in work' : 'done');
    say(store, isDone ? 'In work again.' : 'Done.');
  }

  /** Done, and on to the next one that is not. */
  async function finish() {
    await settled();
    if (!isOpen()) return void sayNotOpen();
    if (hasObjectPrompt(store.get().history.present)) {
      return void say(store, 'Keep the mask first (Enter), or clear it (Esc).');
    }
    mark('done');
    const index = nextOf(store.get().folder, ['untouched', 'in work']);
    if (index < 0) return void say(store, 'All photos are done.');
    return goTo(index);
  }

  /** @param {string} name @param {object} args */
  async function changeClasses(name, args) {
    try {
      const answer = await rpc.callWithRetries(name, args);
      const { active } = store.get().folder;
      const exists = answer.classes.some(({ id }) => id === active);
      change({ classes: answer.classes, active: exists ? active : (answer.classes[0]?.id ?? null) });
      return answer;
    } catch (error) {
      fail(error);
      change({ classes: [...store.get().folder.classes] }); // the list shows again what holds
      return null;
    }
  }

  /** @param {string} name */
  async function addClass(name) {
    const answer = await changeClasses('add_class', { name });
    if (answer) change({ active: answer.id });
  }

  /** @param {string} kind */
  async function exportLabels(kind) {
    try {
      const file = await rpc.callWithRetries('export_labels', { kind });
      saveFile(file);
      say(store, `${file.name} is in your downloads.`);
    } catch (error) {
      fail(error);
    }
  }

  return {
    start,
    goTo,
    next: () => step(1),
    previous: () => step(-1),
    goToUntouched,
    toggleDone,
    finish,
    addClass,
    changeClass: (id, name, colour) => changeClasses('change_class', { id, name, colour }),
    removeClass: (id) => changeClasses('remove_class', { id }),
    exportLabels,
  };
}
