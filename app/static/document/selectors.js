/**
 * What follows from the state. Pure functions.
 *
 * @typedef {import('./state.js').State} State
 */

import { nextLabel } from './labels.js';
import { freeColour, layerById } from './layers.js';
import { currentPrompts, hasPrompts, predictionKey, withPick } from './prompts.js';

/** One word for what the page is doing; the longest-lasting first. @param {State} state */
export function activity({ about, opening, running, predicting }) {
  if (!about) return 'loading';
  if (opening) return 'encoding';
  if (running) return 'everything';
  return predicting ? 'predicting' : 'ready';
}

/** Whether the prediction on the screen belongs to the prompts on the screen. @param {State} state */
export const isPredicted = ({ prediction, history }) => prediction?.key === predictionKey(history.present.chain);

/** Whether the mask on the screen had, or is going to have, a second look. @param {State} state */
export const isRefined = ({ history }) => Boolean(currentPrompts(history.present).refine);

/** Whether the second look is being computed. @param {State} state */
export const isRefining = (state) => state.predicting && isRefined(state);

/** The candidate on the screen: the person's choice, or the server's first choice. @param {State} state @returns {number | null} */
export function shownIndex(state) {
  const { prediction, history } = state;
  if (!prediction?.candidates.length) return null;
  const { pick } = currentPrompts(history.present);
  // while a candidate is being refined, it stays on the screen as it was
  return (isPredicted(state) || isRefined(state)) && pick !== null && pick < prediction.candidates.length
    ? pick
    : prediction.best;
}

/** The candidate that a new point refines, see addPoint. @param {State} state */
export const refinedIndex = (state) => (isPredicted(state) ? shownIndex(state) : null);

/** @param {State} state */
export function shownCandidate(state) {
  const index = shownIndex(state);
  return index === null ? null : state.prediction.candidates[index];
}

/** The chain with the pick that is on the screen, so that the server need not choose again. @param {State} state */
export function pickedChain(state) {
  const index = refinedIndex(state);
  const { chain } = state.history.present;
  return index === null ? chain : withPick(chain, index);
}

/** The mask on the screen, in words. @param {State} state */
export function describeMask(state) {
  const index = shownIndex(state);
  if (index === null) {
    const { points } = currentPrompts(state.history.present);
    return points.length ? 'Background only; add an object point or a box.' : 'No mask.';
  }
  const { area, iou } = state.prediction.candidates[index];
  const count = state.prediction.candidates.length;
  const words = `Mask ${index + 1} of ${count}: ${area.toLocaleString('en')} pixels, predicted IoU ${iou.toFixed(2)}`;
  if (!isRefined(state)) return words;
  return words + (state.prediction.refined ? ', refined' : '. Too large for a second look: nothing to refine.');
}

/** Whether a click would give the mask under the mouse, so that a preview of it is wanted. @param {State} state */
export const wantsPreview = ({ photo, hover, history, everything, running, opening, mode, draft, hidden }) =>
  Boolean(photo) &&
  hover.on &&
  mode === 'object' &&
  !hasPrompts(history.present) &&
  !everything &&
  !running &&
  !opening &&
  !draft &&
  !hidden;

/** The layer that is selected, or null. @param {State} state */
export const selectedLayer = ({ history }) => layerById(history.present, history.present.selected) ?? null;

/** The colour of the current object: that of its class, or the first that no layer has. @param {State} state */
export const nextColour = (state) =>
  nextLabel(state).colour ?? freeColour(state.history.present.layers, state.about.colours);

/** Visible layers in the order of drawing, the lowest first. @param {State} state */
export const visibleLayers = ({ history }) => [...history.present.layers].reverse().filter((layer) => layer.visible);

/** What a cut-out or a mask file would show, in words; null when there is nothing. @param {State} state */
export const downloadSubject = (state) =>
  selectedLayer(state)?.name ??
  (shownIndex(state) === null ? (visibleLayers(state).at(-1)?.name ?? null) : 'the current object');

/**
 * The time of an encoding, or null: much less than usual means that the server still had the embedding.
 * @param {number | null | undefined} ms @param {State['about']} about
 */
export const encodeTime = (ms, about) => (ms > 5 && ms > 0.3 * (about?.encode_ms ?? 0) ? ms : null);
