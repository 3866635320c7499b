/** The filmstrip of a folder: as many pictures as fit, whatever the folder holds; and the buttons beside it. */

import { describeProgress } from '../document/labels.js';
import { part } from './panel.js';

const WIDTH = 84; // CSS pixels of a picture with its margin
const SPARE = 4; // pictures beside those that are seen
const AT_ONCE = 12; // pictures in one call
const KEPT = 600; // pictures

/**
 * @param {HTMLElement} root
 * @param {import('../document/state.js').Store} store
 * @param {import('../net/rpc.js').Call} call
 * @param {(index: number) => void} goTo
 */
export function showStrip(root, store, call, goTo) {
  const strip = part(root, 'strip');
  const rail = strip.firstElementChild;
  /** @type {Map<string, string | null>} data URLs by name; null: not a photo */
  const pictures = new Map();
  /** @type {Map<number, HTMLElement>} by index */
  const shown = new Map();
  let wanted = [];
  let isLoading = false;
  let frame = 0;

  const redraw = () => {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
  strip.addEventListener('scroll', redraw, { passive: true });
  new ResizeObserver(redraw).observe(strip);
  store.subscribe(({ folder }, before) => {
    if (!folder || folder === before.folder) return;
    if (folder.index !== before.folder?.index) reveal(folder.index);
    redraw();
    showFolder(root, folder);
  });

  /** Scroll so that a photo is seen, with its neighbours. @param {number} index */
  function reveal(index) {
    rail.style.width = `${store.get().folder.photos.length * WIDTH}px`;
    const from = index * WIDTH;
    if (from < strip.scrollLeft + WIDTH || from > strip.scrollLeft + strip.clientWidth - 2 * WIDTH) {
      strip.scrollLeft = from - (strip.clientWidth - WIDTH) / 2;
    }
  }

  function draw() {
    const { folder } = store.get();
    if (!folder) return;
    const first = Math.max(0, Math.floor(strip.scrollLeft / WIDTH) - SPARE);
    const end = Math.min(folder.photos.length, Math.ceil((strip.scrollLeft + strip.clientWidth) / WIDTH) + SPARE);
    for (const [index, element] of shown) {
      if (index >= first && index < end) continue;
      element.remove();
      shown.delete(index);
    }
    wanted = [];
    for (let index = first; index < end; index++) {
      const photo = folder.photos[index];
      const element = shown.get(index) ?? add(index);
      fill(element, photo, index === folder.index, pictures.get(photo.name));
      if (!pictures.has(photo.name)) wanted.push(photo.name);
    }
    load();
  }

  function add(index) {
    const element = Object.assign(document.createElement('button'), { type: 'button', tabIndex: -1 });
    element.style.left = `${index * WIDTH}px`;
    element.append(document.createElement('span'), document.createElement('i'));
    element.addEventListener('click', () => goTo(index));
    rail.append(element);
    shown.set(index, element);
    return element;
  }

  async function load() {
    if (isLoading) return;
    isLoading = true;
    while (wanted.length) {
      const names = wanted.splice(0, AT_ONCE);
      const answer = await call('thumbnails', { names }).catch(() => null);
      if (!answer) break; // the next scroll or change asks again
      for (const [name, url] of Object.entries(answer.thumbnails)) pictures.set(name, url);
      while (pictures.size > KEPT) pictures.delete(pictures.keys().next().value);
      redraw();
    }
    isLoading = false;
  }
}

/** @param {HTMLElement} element @param {import('../document/labels.js').ListedPhoto} photo */
function fill(element, { name, state, count }, isOpen, picture) {
  const key = JSON.stringify([name, state, count, isOpen, picture === undefined]);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.dataset.state = state;
  element.dataset.name = name;
  element.setAttribute('aria-current', String(isOpen));
  element.title = `${name}: ${picture === null ? 'cannot be read' : state}${count ? `, ${count} objects` : ''}`;
  element.setAttribute('aria-label', element.title);
  element.firstElementChild.textContent = picture === null ? '!' : '';
  element.lastElementChild.textContent = count ? String(count) : '';
  element.style.backgroundImage = picture ? `url(${picture})` : '';
}

/** @param {HTMLElement} root @param {import('../document/labels.js').Folder} folder */
function showFolder(root, folder) {
  const { photos, index, saving, title } = folder;
  const open = photos[index];
  part(root, 'folder-title').textContent = title;
  part(root, 'folder-progress').textContent = describeProgress(folder);
  const place = open ? `${open.name}, ${index + 1} of ${photos.length.toLocaleString('en')} \u00b7 ` : '';
  part(root, 'folder-place').textContent = place;
  const words = { saved: 'Saved', saving: 'Saving\u2026', waiting: 'Not saved yet', refused: 'Not saved' };
  const state = part(root, 'folder-saving');
  state.textContent = words[saving];
  state.dataset.saving = saving;
  part(root, 'previous-photo').disabled = index <= 0;
  part(root, 'next-photo').disabled = index >= photos.length - 1;
  const done = part(root, 'toggle-done');
  done.setAttribute('aria-pressed', String(open?.state === 'done'));
  part(root, 'untouched-photo').disabled = !photos.some(({ state }) => state === 'untouched');
}
