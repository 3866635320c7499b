/**
 * The page. ``start`` builds its parts; each knows only those that are given to it. The folders:
 *
 * document/  what the person has said about the photo, the state of the page, and the store that holds it
 * view/      geometry and drawing of the photo, masks and prompts
 * net/       the server: calls, photos, predictions, downloads
 * ui/        gestures, keys and buttons -> actions; the panels around the stage
 *
 * A click goes ui/gestures -> ui/pointing -> ui/actions -> store -> net/predict -> store -> view/stage.
 */

import { notify } from './document/messages.js';
import { saveChanges } from './document/persistence.js';
import { initialState, snapshot } from './document/state.js';
import { makeStore } from './document/store.js';
import { makeDownloads } from './net/downloads.js';
import { makeEverything } from './net/everything.js';
import { makeFolder } from './net/folder.js';
import { makeKeep } from './net/keep.js';
import { makeMaskEdits } from './net/mask_edits.js';
import { makePhotos } from './net/photos.js';
import { predictOnChange } from './net/predict.js';
import { makePreviews } from './net/preview.js';
import { makeRpc, sleep } from './net/rpc.js';
import { makeSaving } from './net/save_labels.js';
import { makeSession } from './net/session.js';
import { makeActions } from './ui/actions.js';
import { makeBrush } from './ui/brush.js';
import { showClasses } from './ui/class_list.js';
import { makeCommands } from './ui/commands.js';
import { listenToControls, listenToDownloads, showOffer } from './ui/controls.js';
import { listenToFiles } from './ui/file_input.js';
import { makeFoundMasks } from './ui/found_masks.js';
import { listenToPointers } from './ui/gestures.js';
import { listenToKeys } from './ui/keys.js';
import { showLayers } from './ui/layer_list.js';
import { makeOutlining } from './ui/outlining.js';
import { part, showState } from './ui/panel.js';
import { makePointing } from './ui/pointing.js';
import { showStrip } from './ui/strip.js';
import { showNotices } from './ui/toasts.js';
import { makeStage } from './view/stage.js';

const UNREACHABLE = 'The server cannot be reached; trying again\u2026';
const IN_FOLDER = 'This page labels the photos of a folder. Put the photo there, and load the page again.';
const RETRY_MS = 5000;

/** @param {HTMLElement} element  holds page.html @param {Record<string, (args: object) => Promise<any>>} server */
export async function start(element, server) {
  /** @type {any} */
  const root = element.querySelector('.rs');
  if (!root || root.dataset.started) return undefined;
  root.dataset.started = 'yes';
  await addStyle(root);

  const store = makeStore(initialState());
  root.rsDebug = () => snapshot(store.get());
  const surface = part(root, 'stage');

  const actions = makeActions(store);
  const foundMasks = makeFoundMasks(store);
  showNotices(root.querySelector('.rs-toasts'), store);
  const show = (state, before) => {
    showState(root, state, before);
    const areLayersNew = state.history !== before.history || state.photo !== before.photo;
    if (areLayersNew || state.folder?.classes !== before.folder?.classes) showLayers(root, state, actions);
  };
  show(store.get(), {});
  store.subscribe(show);
  const { drawn } = makeStage(surface, store);

  const rpc = makeRpc(server, () => notify(store, UNREACHABLE));
  const session = makeSession(store, rpc);
  const photos = makePhotos(store, session);
  const previews = makePreviews(store, session, rpc.call, drawn);
  const everything = makeEverything(store, session, rpc);
  const { keep, currentObject, kept } = makeKeep(store, session);
  predictOnChange(store, session, drawn);

  const maskEdits = makeMaskEdits(store, session);
  const byHand = { brush: makeBrush(store, maskEdits, keep), outlining: makeOutlining(store, maskEdits) };
  const settled = () => Promise.all([kept(), maskEdits.settled()]);
  const folder = makeFolder(store, rpc, photos, makeSaving(store, rpc), settled);
  const pointing = makePointing(store, actions, foundMasks, previews, byHand);
  const { abandon } = listenToPointers(surface, pointing.gestures);
  const { zoomBy } = pointing;
  const parts = {
    actions,
    foundMasks,
    everything,
    keep,
    zoomBy,
    abandonGesture: abandon,
    maskEdits,
    folder,
    ...byHand,
  };
  const commands = makeCommands(root, store, parts);
  listenToKeys(surface, commands, pointing.crosshair, () => Boolean(store.get().folder));
  listenToControls(root, commands, { photos, previews, ...byHand });
  listenToDownloads(root, makeDownloads(store, session, rpc, currentObject));
  listenToFiles(root, (file) => (store.get().folder ? notify(store, IN_FOLDER) : photos.open({ file })));
  showStrip(root, store, rpc.call, folder.goTo);
  showClasses(root, store, folder, actions.chooseClass);

  const about = await serverInfo(rpc, store);
  showOffer(root, about, (example) => photos.open({ example }));
  store.set({ about, checkpoint: about.checkpoint, hover: { on: about.hover, asked: false, note: '' } });
  root.classList.toggle('rs-labels', Boolean(about.folder));
  if (about.folder) return folder.start(about.folder);
  saveChanges(store);
  return photos.openFirst();
}

/** What the server says of itself. There is no page without it, so this tries for as long as it takes. */
async function serverInfo(rpc, store) {
  for (;;) {
    try {
      return await rpc.callWithRetries('about', {});
    } catch {
      notify(store, UNREACHABLE);
      await sleep(RETRY_MS);
    }
  }
}

/** Load the style sheet; the page stays hidden until then. */
function addStyle(root) {
  return new Promise((resolve) => {
    const show = () => {
      root.style.visibility = '';
      resolve(undefined);
    };
    const link = Object.assign(document.createElement('link'), {
      rel: 'stylesheet',
      href: new URL('styles/page.css', import.meta.url).href,
    });
    link.addEventListener('load', show);
    link.addEventListener('error', show);
    document.head.append(link);
  });
}
