/** Downloads: files of the masks, and the Python program that gives the same masks. */

import { fitsOneFile } from '../document/limits.js';
import { notify, reportError, say } from '../document/messages.js';
import { selectedLayer, shownIndex, visibleLayers } from '../document/selectors.js';

const OF_ONE_OBJECT = new Set(['cutout', 'mask']); // the other kinds show all that is visible
const NO_MASK = 'There is no mask yet: click an object first.';

/**
 * @param {import('../document/state.js').Store} store
 * @param {import('./session.js').Session} session
 * @param {import('./rpc.js').Rpc} rpc
 * @param {() => Promise<import('../document/prompts.js').MaskObject | null>} currentObject
 */
export function makeDownloads(store, session, rpc, currentObject) {
  /** The objects in a file of this kind, the lowest first. @param {string} kind */
  async function objectsFor(kind) {
    const selected = selectedLayer(store.get());
    const isOfOne = OF_ONE_OBJECT.has(kind);
    if (isOfOne && selected) return [selected];
    const current = await currentObject();
    const visible = visibleLayers(store.get());
    const objects = current ? [{ ...current, name: 'Object' }] : [];
    if (!isOfOne) return [...visible, ...objects];
    return current ? objects : visible.slice(-1);
  }

  /** @param {string} kind @param {{full_size: boolean, feather: number}} options */
  async function download(kind, options) {
    if (!store.get().photo) return;
    try {
      const objects = await objectsFor(kind);
      if (!objects.length) return notify(store, NO_MASK);
      if (!fitsOneFile(store, objects.length)) return;
      const layers = objects.map(({ name, colour, rle }) => ({ name, colour, rle }));
      const file = await session.call('download', { kind, layers, ...options });
      saveFile(file);
      say(store, `${file.name} is in your downloads.`);
    } catch (error) {
      reportError(store, error);
    }
  }

  /** The program for all that is visible, or null. @returns {Promise<string | null>} */
  async function pythonSnippet() {
    const state = store.get();
    const { photo, checkpoint } = state;
    const { chain } = state.history.present;
    const current = shownIndex(state) === null ? [] : [{ name: 'Object', checkpoint, chain }];
    const objects = [...visibleLayers(state).map(forSnippet), ...current];
    if (!photo || !objects.length) {
      notify(store, NO_MASK);
      return null;
    }
    if (!fitsOneFile(store, objects.length)) return null;
    try {
      return (await rpc.callWithRetries('python_snippet', { name: photo.name, objects })).python;
    } catch (error) {
      reportError(store, error);
      return null;
    }
  }

  return { download, pythonSnippet };
}

/** A layer's prompts, or its mask where no prompts made it. @param {import('../document/prompts.js').Layer} layer */
const forSnippet = ({ name, checkpoint, chain, rle }) => (chain.length ? { name, checkpoint, chain } : { name, rle });

/** Into the browser's downloads. @param {{name: string, mime: string, data: string}} file  data: base64 */
export function saveFile({ name, mime, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: mime }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // some browsers read it after the click
}
