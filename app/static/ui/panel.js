/**
 * State -> the page around the stage. Each function brings one part up to date and leaves alone what has not changed.
 *
 * @typedef {import('../document/state.js').State} State
 */

import { hasObjectPrompt, hasPrompts } from '../document/prompts.js';
import {
  activity,
  downloadSubject,
  encodeTime,
  isRefined,
  isRefining,
  nextColour,
  refinedIndex,
  selectedLayer,
  shownIndex,
} from '../document/selectors.js';
import { clearThumbnail, showThumbnail } from '../view/thumbnails.js';

/** An element of page.html by its data-part. @param {ParentNode} root @param {string} name @returns {any} */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

/** Bring up to date what has changed. @param {HTMLElement} root @param {State} state @param {Partial<State>} before */
export function showState(root, state, before) {
  const changed = (...names) => names.some((name) => state[name] !== before[name]);
  showActivity(root, state);
  if (changed('status')) part(root, 'status').textContent = state.status;
  if (changed('prediction', 'history', 'photo')) showCandidates(root, state);
  if (changed('prediction', 'history', 'predicting', 'about')) showRefine(root, state);
  if (changed('history', 'mode', 'hidden')) showTools(root, state);
  if (changed('history', 'mode', 'brush')) showCorrections(root, state);
  if (changed('history', 'folder')) {
    const isLayer = selectedLayer(state) && !hasPrompts(state.history.present);
    part(root, 'class-note').textContent =
      `A number gives the class of the ${isLayer ? 'selected layer' : 'next object'}.`;
  }
  if (changed('hover')) showHover(root, state);
  if (changed('everything', 'running', 'photo', 'opening')) showEverything(root, state);
  if (changed('opening', 'running')) showProgress(root, state);
  if (changed('history', 'prediction', 'photo')) showDownloads(root, state);
  if (changed('about', 'photo', 'decodeMs', 'timing')) showFigures(root, state);
  if (changed('photo', 'opening', 'lostPhoto', 'view')) showPhoto(root, state);
  if (changed('checkpoint', 'about', 'opening')) part(root, 'checkpoint').value = state.checkpoint;
  if (changed('checkpoint', 'about')) {
    part(root, 'checkpoint').title = offered(state)?.about ?? '';
    showThresholds(root, state);
  }
}

/** Sliders of everything mode at the checkpoint's own thresholds: light models rate their masks lower. */
function showThresholds(root, state) {
  for (const [name, value] of Object.entries(offered(state)?.everything ?? {})) {
    const slider = root.querySelector(`.rs-sliders input[name="${name}"]`);
    slider.value = value;
    slider.dispatchEvent(new Event('input'));
  }
}

/** What the server says of the checkpoint in use. */
const offered = ({ about, checkpoint }) => about?.checkpoints.find(({ name }) => name === checkpoint);

/** Attributes for the style sheets, and for tests and measurements. */
function showActivity(root, state) {
  const { opening, everything, mode, timing } = state;
  root.dataset.state = activity(state);
  root.classList.toggle('rs-replacing', Boolean(opening?.replaces));
  root.dataset.everything = String(everything?.masks.length ?? 0);
  part(root, 'stage').dataset.mode = everything ? 'everything' : mode;
  root.dataset.clicks = String(timing.clicks);
  root.dataset.hovers = String(timing.hovers);
  if (timing.clickMs !== null) root.dataset.clickMs = timing.clickMs.toFixed(1);
  if (timing.hoverMs !== null) root.dataset.hoverMs = timing.hoverMs.toFixed(1);
}

function showCandidates(root, state) {
  const { about, prediction, photo, picture, shapes, history } = state;
  const shown = shownIndex(state);
  const colour = about && nextColour(state); // there is no mask before about
  for (let index = 0; index < 3; index++) {
    const button = part(root, `thumb-${index}`);
    const candidate = prediction?.candidates[index];
    button.disabled = !candidate;
    button.setAttribute('aria-pressed', String(Boolean(candidate) && index === shown));
    button.setAttribute(
      'aria-label',
      candidate ? `Candidate ${index + 1}, predicted IoU ${candidate.iou.toFixed(2)}` : `No candidate ${index + 1}`,
    );
    button.querySelector('b').textContent = candidate ? candidate.iou.toFixed(2) : '\u2013';
    const canvas = button.querySelector('canvas');
    if (candidate) showThumbnail(canvas, candidate.mask, colour, { photo, picture, shapes });
    else clearThumbnail(canvas);
  }
  part(root, 'keep').disabled = !hasObjectPrompt(history.present); // enabled while predicting, so that no click is lost
}

function showRefine(root, state) {
  const button = part(root, 'refine');
  const seconds = state.about?.encode_ms && Math.max(0.1, state.about.encode_ms / 1000).toFixed(1);
  button.disabled = refinedIndex(state) === null || isRefined(state);
  button.title =
    'Refine the mask (R): encode the square around the object once more, for a finer edge; best for small objects. ' +
    `Takes about as long as opening the photo${seconds ? `, ${seconds} s` : ''}`;
  const words = isRefining(state) ? 'Refining\u2026' : isRefined(state) ? 'Refined' : 'Refine';
  button.querySelector('span').textContent = words;
}

function showTools(root, { history, mode, hidden }) {
  part(root, 'undo').disabled = history.past.length === 0;
  part(root, 'redo').disabled = history.future.length === 0;
  part(root, 'delete').disabled = !hasPrompts(history.present) && history.present.selected === null;
  part(root, 'clear').disabled = !hasPrompts(history.present);
  const hide = part(root, 'hide');
  hide.setAttribute('aria-pressed', String(hidden));
  hide.querySelector('use').setAttribute('href', hidden ? '#rs-closed' : '#rs-eye');
  for (const button of root.querySelectorAll('button[data-mode]')) {
    button.setAttribute('aria-pressed', String(button.dataset.mode === mode));
  }
}

function showCorrections(root, state) {
  const { mode, brush } = state;
  root.querySelector('.rs-correct').hidden = !state.history.present.layers.length;
  for (const button of root.querySelectorAll('.rs-correct button')) button.disabled = !selectedLayer(state);
  root.querySelector('.rs-brush-size').hidden = mode !== 'brush' && mode !== 'eraser';
  const slider = part(root, 'brush-size');
  slider.value = brush;
  slider.parentElement.querySelector('output').value = String(brush);
}

function showHover(root, { hover }) {
  part(root, 'hover-switch').checked = hover.on;
  root.querySelector('.rs-hover-label').textContent = `Preview under the mouse${hover.note ? ` (${hover.note})` : ''}`;
}

/** The values of the sliders, by the server's names. @returns {import('../net/everything.js').Settings} */
export const everythingSettings = (root) =>
  /** @type {any} */ (
    Object.fromEntries(
      [...root.querySelectorAll('.rs-sliders input')].map(({ name, valueAsNumber }) => [name, valueAsNumber]),
    )
  );

function showEverything(root, { everything, running, photo, opening }) {
  part(root, 'everything-run').disabled = Boolean(running || opening) || !photo;
  part(root, 'everything-cancel').hidden = !running;
  root.querySelector('.rs-found').hidden = !everything;
  part(root, 'everything-all').textContent = everything ? `All ${everything.masks.length} to layers` : 'All to layers';
}

/** The progress bar on the stage, of encoding and of everything mode. */
function showProgress(root, { opening, running }) {
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
  // without a share the bar runs for as long as encoding usually takes, or moves to and fro
  const kind = percent !== null ? 'share' : now.expected ? 'expected' : 'unknown';
  if (bar.dataset.kind !== kind) bar.dataset.kind = kind;
  bar.style.setProperty('--rs-share', `${percent ?? 0}%`);
  bar.style.setProperty('--rs-expected', `${Math.round(now.expected ?? 0)}ms`);
  if (percent === null) bar.removeAttribute('aria-valuenow');
  else bar.setAttribute('aria-valuenow', String(percent));
}

function showDownloads(root, state) {
  const subject = downloadSubject(state);
  root.querySelector('.rs-subject').textContent = `Of ${subject ?? 'the selected layer, or the current object'}:`;
  for (const button of root.querySelectorAll('[data-download]')) button.disabled = subject === null;
  part(root, 'code').disabled = subject === null;
}

function showFigures(root, { about, photo, decodeMs, timing: { clickMs } }) {
  const encodeMs = encodeTime(photo?.encodeMs, about) ?? about?.encode_ms;
  const figures = [
    about?.device,
    about?.engine,
    encodeMs && `encoder ${encodeMs < 1000 ? `${Math.round(encodeMs)} ms` : `${(encodeMs / 1000).toFixed(1)} s`}`,
    (decodeMs ?? about?.decode_ms) && `decoder ${Math.round(decodeMs || about.decode_ms)} ms`,
    clickMs !== null && `click to mask ${Math.round(clickMs)} ms`,
  ];
  part(root, 'figures').textContent = figures.filter(Boolean).join(' \u00b7 ');
}

const whyNotOpen = ({ photo, isGone }) =>
  isGone ? `The server no longer has ${photo.name}.` : `${photo.name} could not be opened.`;

function showPhoto(root, { photo, opening, lostPhoto, view }) {
  const empty = root.querySelector('.rs-empty');
  empty.hidden = Boolean(photo) || Boolean(opening);
  empty.querySelector('p').textContent = lostPhoto
    ? `${whyNotOpen(lostPhoto)} Open the file again, and your prompts and layers return.`
    : 'Open a photo, drop one here, or choose an example.';
  root.querySelector('.rs-percent').textContent = photo ? `${Math.round(view.scale * 100)} %` : '';
  for (const button of root.querySelectorAll('.rs-examples button')) {
    button.setAttribute('aria-pressed', String(photo?.source.example === button.dataset.name));
  }
}
