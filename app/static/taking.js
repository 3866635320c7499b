/** Take away: files to download, and the Python that gives the same masks. */

import { shownIndex } from './asking.js';

const OF_ONE = new Set(['cutout', 'mask']); // the others are of all that is visible

/**
 * @param {import('./state.js').App} app
 * @param {() => Promise<any>} currentObject
 */
export function makeTaking(app, currentObject) {
  const { store } = app;

  /** Visible layers, the lowest first, as a painter would lay them. */
  const visible = () => [...store.get().story.present.layers].reverse().filter((layer) => layer.visible);

  /** What a file of this kind is made of. @param {string} kind */
  async function objectsFor(kind) {
    const { layers, selected } = store.get().story.present;
    const chosen = layers.find((layer) => layer.id === selected);
    if (OF_ONE.has(kind) && chosen) return [chosen];
    const current = await currentObject();
    const now = current ? [{ ...current, name: 'Object' }] : [];
    return OF_ONE.has(kind) ? (now.length ? now : visible().slice(-1)) : [...visible(), ...now];
  }

  function fits(objects) {
    const most = store.get().about.limits.layers;
    if (objects.length > most) app.toast(`A file holds ${most} layers; these are ${objects.length}. Hide some.`);
    return objects.length <= most;
  }

  /** @param {string} kind @param {{full_size: boolean, feather: number}} options */
  async function take(kind, options) {
    if (!store.get().photo) return;
    try {
      const objects = await objectsFor(kind);
      if (!objects.length) return void app.toast('There is no mask yet: click an object first.');
      if (!fits(objects)) return;
      const layers = objects.map(({ name, colour, rle }) => ({ name, colour, rle }));
      const file = await app.ask('take', { kind, layers, ...options });
      download(file);
      app.say(`${file.name} is in your downloads.`);
    } catch (error) {
      app.fail(error);
    }
  }

  /** The program for all that is visible, or null. @returns {Promise<string | null>} */
  async function code() {
    const { photo, checkpoint, story } = store.get();
    const { chain } = story.present;
    const now = shownIndex(store.get()) !== null ? [{ name: 'Object', checkpoint, chain }] : [];
    const objects = [...visible().map(asCode), ...now];
    if (!photo || !objects.length) {
      app.toast('There is no mask yet: click an object first.');
      return null;
    }
    if (!fits(objects)) return null;
    try {
      return (await app.wire.patiently('code', { name: photo.name, objects })).python;
    } catch (error) {
      app.fail(error);
      return null;
    }
  }

  return { take, code };
}

/** The prompts that made a layer, or the mask itself where none did. @param {import('./story.js').Layer} layer */
const asCode = ({ name, checkpoint, chain, rle }) => (chain.length ? { name, checkpoint, chain } : { name, rle });

/** What "cut-out" and "mask" would be of, in words. @param {import('./state.js').State} state */
export function takenNow(state) {
  const { layers, selected } = state.story.present;
  const chosen = layers.find((layer) => layer.id === selected) ?? null;
  if (chosen) return chosen.name;
  if (shownIndex(state) !== null) return 'the object in work';
  return layers.find((layer) => layer.visible)?.name ?? null;
}

function download({ name, mime, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: mime }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // some browsers read it after the click
}

/** The clipboard is closed on plain http; the old way still works there. @returns {Promise<boolean>} */
export async function copy(text, field) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    field.select();
    return document.execCommand('copy');
  }
}
