/** State -> the page around the stage. Each function brings one part up to date and touches nothing that is right. */

import { shownIndex } from './asking.js';
import { freeColour } from './layers.js';
import { encodeTime } from './opening.js';
import { paintCrop } from './paint.js';
import { hasObject, hasPrompts } from './story.js';
import { takenNow } from './taking.js';

/** @param {ParentNode} root @param {string} name @returns {any} */
export const part = (root, name) => root.querySelector(`[data-test="${name}"]`);

/** One word for what the page is doing; the longest-lasting first. @param {import('./state.js').State} state */
export function activity({ about, opening, running, asking }) {
  if (!about) return 'loading';
  if (opening) return 'encoding';
  if (running) return 'everything';
  return asking ? 'predicting' : 'ready';
}

export function showCandidates(root, state) {
  const { about, answer, photo, picture, shapes, story } = state;
  const shown = shownIndex(state);
  const colour = about && freeColour(story.present.layers, about.colours); // without the server there is no mask either
  for (let index = 0; index < 3; index++) {
    const button = part(root, `thumb-${index}`);
    const candidate = answer?.candidates[index];
    button.disabled = !candidate;
    button.setAttribute('aria-pressed', String(Boolean(candidate) && index === shown));
    button.setAttribute(
      'aria-label',
      candidate ? `Candidate ${index + 1}, predicted IoU ${candidate.iou.toFixed(2)}` : `No candidate ${index + 1}`,
    );
    button.querySelector('b').textContent = candidate ? candidate.iou.toFixed(2) : '\u2013';
    const canvas = button.querySelector('canvas');
    if (candidate) thumbnail(canvas, candidate.mask, colour, { photo, picture, shapes });
    else wipe(canvas);
  }
  part(root, 'keep').disabled = !hasObject(story.present); // not while predicting: a click must not get lost
}

/** @param {(id: number, what: string, value?: any) => void} onLayer */
export function showLayers(root, state, onLayer) {
  const { story, photo, picture, shapes } = state;
  const { layers, selected } = story.present;
  const list = part(root, 'layers');
  const rows = new Map([...list.children].map((row) => [Number(row.dataset.id), row]));
  layers.forEach((layer, index) => {
    const row = rows.get(layer.id) ?? newRow(root, layer.id, onLayer);
    rows.delete(layer.id);
    // moving a row takes its focus away, so only what is out of place moves
    if (list.children[index] !== row) {
      const focused = row.contains(document.activeElement) ? document.activeElement : null;
      list.insertBefore(row, list.children[index] ?? null);
      focused?.focus();
    }
    fillRow(row, layer, {
      isSelected: layer.id === selected,
      isFirst: index === 0,
      isLast: index === layers.length - 1,
    });
    thumbnail(row.querySelector('canvas'), layer.mask, layer.colour, { photo, picture, shapes });
  });
  for (const row of rows.values()) removeRow(row, root);
  root.querySelector('.rs-no-layers').hidden = layers.length > 0;
  root.querySelector('.rs-count').textContent = layers.length ? String(layers.length) : '';
}

function newRow(root, id, onLayer) {
  const row = root.querySelector('.rs-layer-template').content.firstElementChild.cloneNode(true);
  row.dataset.id = String(id);
  const [name, colour] = [part(row, 'layer-name'), part(row, 'layer-colour')];
  row.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-do]');
    if (button) onLayer(id, button.dataset.do);
  });
  name.addEventListener('change', () => onLayer(id, 'name', name.value.trim()));
  name.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') name.blur();
  });
  colour.addEventListener('input', () => onLayer(id, 'try-colour', colour.value));
  colour.addEventListener('change', () => onLayer(id, 'colour', colour.value));
  return row;
}

function fillRow(row, layer, { isSelected, isFirst, isLast }) {
  const [select, name, colour, visible] = ['select', 'name', 'colour', 'visible'].map((key) =>
    part(row, `layer-${key}`),
  );
  row.classList.toggle('rs-selected', isSelected);
  row.classList.toggle('rs-off', !layer.visible);
  select.setAttribute('aria-pressed', String(isSelected));
  if (document.activeElement !== name) name.value = layer.name;
  if (colour.value !== layer.colour) colour.value = layer.colour;
  visible.setAttribute('aria-pressed', String(layer.visible));
  visible.querySelector('use').setAttribute('href', layer.visible ? '#rs-eye' : '#rs-closed');
  part(row, 'layer-up').disabled = isFirst;
  part(row, 'layer-down').disabled = isLast;
  const labels = {
    select: `Select ${layer.name}`,
    name: `Name of ${layer.name}`,
    colour: `Colour of ${layer.name}`,
    visible: `Show ${layer.name}`,
    up: `Move ${layer.name} up`,
    down: `Move ${layer.name} down`,
    delete: `Delete ${layer.name}`,
  };
  for (const [key, label] of Object.entries(labels)) {
    const element = part(row, `layer-${key}`);
    element.setAttribute('aria-label', label);
    element.title = label;
  }
}

/** The keyboard goes on where the row was. */
function removeRow(row, root) {
  const next = row.contains(document.activeElement) && (row.nextElementSibling ?? row.previousElementSibling);
  const hadFocus = row.contains(document.activeElement);
  row.remove();
  if (hadFocus) (next ? part(next, 'layer-select') : part(root, 'stage')).focus({ preventScroll: true });
}

export function showSteps(root, { story, mode, hidden }) {
  part(root, 'undo').disabled = story.past.length === 0;
  part(root, 'redo').disabled = story.future.length === 0;
  part(root, 'delete').disabled = !hasPrompts(story.present) && story.present.selected === null;
  part(root, 'clear').disabled = !hasPrompts(story.present);
  const hide = part(root, 'hide');
  hide.setAttribute('aria-pressed', String(hidden));
  hide.querySelector('use').setAttribute('href', hidden ? '#rs-closed' : '#rs-eye');
  for (const button of root.querySelectorAll('[data-mode]')) {
    button.setAttribute('aria-pressed', String(button.dataset.mode === mode));
  }
}

export function showHover(root, { hover }) {
  part(root, 'hover-switch').checked = hover.on;
  root.querySelector('.rs-hover-label').textContent = `Preview under the mouse${hover.note ? ` (${hover.note})` : ''}`;
}

/** What the sliders say, by the names that the server has for it. @returns {any} */
export const everythingSettings = (root) =>
  Object.fromEntries(
    [...root.querySelectorAll('.rs-sliders input')].map(({ name, valueAsNumber }) => [name, valueAsNumber]),
  );

export function showEverything(root, { everything, running, photo, opening }) {
  part(root, 'everything-run').disabled = Boolean(running || opening) || !photo;
  part(root, 'everything-cancel').hidden = !running;
  root.querySelector('.rs-found').hidden = !everything;
  part(root, 'everything-all').textContent = everything ? `All ${everything.masks.length} to layers` : 'All to layers';
}

/** Encoding and everything share the bar on the stage. */
export function showWaiting(root, { opening, running }) {
  const wait = root.querySelector('.rs-wait');
  const bar = root.querySelector('.rs-bar');
  const now = opening ?? running;
  wait.hidden = !now;
  if (!now) {
    delete bar.dataset.kind;
    return;
  }
  const percent = now.share === null ? null : Math.round(100 * now.share);
  const text = `${now.text}${percent === null ? '\u2026' : ` ${percent} %`}`;
  const label = wait.querySelector('.rs-wait-text');
  if (label.textContent !== text) label.textContent = text;
  // without a share the bar follows the time that encoding usually takes, or just moves
  const kind = percent !== null ? 'share' : now.expected ? 'expected' : 'unknown';
  if (bar.dataset.kind !== kind) bar.dataset.kind = kind;
  bar.style.setProperty('--rs-share', `${percent ?? 0}%`);
  bar.style.setProperty('--rs-expected', `${Math.round(now.expected ?? 0)}ms`);
  if (percent === null) bar.removeAttribute('aria-valuenow');
  else bar.setAttribute('aria-valuenow', String(percent));
}

export function showTaking(root, state) {
  const of = takenNow(state);
  const hasSome = of !== null;
  root.querySelector('.rs-taken').textContent = hasSome ? `Of ${of}:` : 'Of the selected layer, or the object in work:';
  for (const button of root.querySelectorAll('[data-take]')) button.disabled = !hasSome;
  part(root, 'code').disabled = !hasSome;
}

export function showFigures(root, { about, photo, decodeMs, clickMs }) {
  const encodeMs = encodeTime(photo?.encodeMs, about) ?? about?.encode_ms;
  const figures = [
    about?.device,
    encodeMs && `encoder ${encodeMs < 1000 ? `${Math.round(encodeMs)} ms` : `${(encodeMs / 1000).toFixed(1)} s`}`,
    (decodeMs ?? about?.decode_ms) && `decoder ${Math.round(decodeMs || about.decode_ms)} ms`,
    clickMs !== null && `click to mask ${Math.round(clickMs)} ms`,
  ];
  part(root, 'figures').textContent = figures.filter(Boolean).join(' \u00b7 ');
}

const whyNotOpen = ({ photo, isGone }) =>
  isGone ? `The server no longer has ${photo.name}.` : `${photo.name} could not be opened.`;

export function showPhoto(root, { photo, opening, orphan, view }) {
  const empty = root.querySelector('.rs-empty');
  empty.hidden = Boolean(photo) || Boolean(opening);
  empty.querySelector('p').textContent = orphan
    ? `${whyNotOpen(orphan)} Open the file again, and your prompts and layers return.`
    : 'Open a photo, drop one here, or choose an example.';
  root.querySelector('.rs-percent').textContent = photo ? `${Math.round(view.scale * 100)} %` : '';
  for (const button of root.querySelectorAll('.rs-examples button')) {
    button.setAttribute('aria-pressed', String(photo?.source.example === button.dataset.name));
  }
}

/** Draw a thumbnail when its mask is read; a newer one may have taken the canvas by then. */
function thumbnail(canvas, mask, colour, { photo, picture, shapes }) {
  const wanted = { mask, colour, shapes };
  const last = painted.get(canvas);
  if (last && last.mask === mask && last.colour === colour && last.shapes === shapes) return;
  painted.set(canvas, wanted);
  shapes.load(mask).then(
    (shape) => {
      if (painted.get(canvas) === wanted) paintCrop(canvas, picture, photo, shape, colour);
    },
    () => {},
  );
}

function wipe(canvas) {
  if (!painted.delete(canvas)) return;
  canvas.getContext('2d').setTransform(1, 0, 0, 1, 0, 0);
  canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);
}

/** @type {WeakMap<HTMLCanvasElement, object>} what each thumbnail shows */
const painted = new WeakMap();
