/**
 * Geometry of the stage: where the photo lies on it, and what lies under the pointer.
 * screen = photo * scale + (x, y), in CSS pixels from the stage's top left corner.
 *
 * @typedef {{scale: number, x: number, y: number, fitted: boolean}} View  fitted: not zoomed, so it follows the window
 * @typedef {import('../document/prompts.js').Spot} Spot
 * @typedef {import('../document/prompts.js').Size} Size
 * @typedef {import('../document/state.js').State} State
 */

import { corners, currentPrompts } from '../document/prompts.js';

const MARGIN = 12;
const MAX_SCALE = 64; // screen pixels for one of the photo
const MIN_VISIBLE = 48; // screen pixels of the photo that stay on the stage

/** The whole photo, centred. @param {Size} photo @param {Size} stage @returns {View} */
export function fit(photo, stage) {
  const margin = stage.width < 500 ? 4 : MARGIN;
  const scale = Math.max(
    0.001,
    Math.min((stage.width - 2 * margin) / photo.width, (stage.height - 2 * margin) / photo.height, 8),
  );
  return {
    scale,
    x: (stage.width - photo.width * scale) / 2,
    y: (stage.height - photo.height * scale) / 2,
    fitted: true,
  };
}

/** @param {View} view @param {Spot} spot  on the screen @returns {Spot} */
export const toPhoto = (view, spot) => ({ x: (spot.x - view.x) / view.scale, y: (spot.y - view.y) / view.scale });

/** @param {View} view @param {Spot} spot  in the photo @returns {Spot} */
export const toScreen = (view, spot) => ({ x: spot.x * view.scale + view.x, y: spot.y * view.scale + view.y });

/** Zoom; the spot ``at`` on the screen stays where it is. @returns {View} */
export function zoom(view, factor, at, photo, stage) {
  const smallest = fit(photo, stage).scale / 4;
  const scale = Math.min(Math.max(view.scale * factor, smallest), MAX_SCALE);
  const real = scale / view.scale;
  return within(
    { scale, x: at.x - (at.x - view.x) * real, y: at.y - (at.y - view.y) * real, fitted: false },
    photo,
    stage,
  );
}

/** @returns {View} */
export const pan = (view, dx, dy, photo, stage) =>
  within({ ...view, x: view.x + dx, y: view.y + dy, fitted: false }, photo, stage);

/** @param {Spot} spot  in the photo @param {Size} photo @param {number} [slack] photo pixels */
export const isInside = (spot, photo, slack = 0) =>
  spot.x >= -slack && spot.y >= -slack && spot.x <= photo.width + slack && spot.y <= photo.height + slack;

const within = (view, photo, stage) => ({
  ...view,
  x: Math.min(Math.max(view.x, MIN_VISIBLE - photo.width * view.scale), stage.width - MIN_VISIBLE),
  y: Math.min(Math.max(view.y, MIN_VISIBLE - photo.height * view.scale), stage.height - MIN_VISIBLE),
});

/**
 * The prompt under the pointer; of several, the one that is drawn on top.
 * @param {State} state @param {Spot} at  on the screen
 * @param {number} reach  screen pixels; a finger needs more than a mouse
 * @returns {import('../document/prompts.js').Target | null}
 */
export function targetAt({ photo, history, view, everything }, at, reach) {
  if (!photo || everything) return null;
  const { points, box } = currentPrompts(history.present);
  const isNear = (spot) => {
    const { x, y } = toScreen(view, spot);
    return Math.hypot(x - at.x, y - at.y) <= reach;
  };
  const index = points.findLastIndex(([x, y]) => isNear({ x, y }));
  if (index >= 0) return { kind: 'point', index };
  if (!box) return null;
  const corner = corners(box).findIndex(isNear);
  if (corner >= 0) return { kind: 'corner', index: corner };
  return isOnEdge(box, view, at, reach / 2) ? { kind: 'box' } : null;
}

function isOnEdge(box, view, at, reach) {
  const [from, , to] = corners(box).map((spot) => toScreen(view, spot));
  const isWithin = (margin) =>
    at.x > from.x - margin && at.x < to.x + margin && at.y > from.y - margin && at.y < to.y + margin;
  return isWithin(reach) && !isWithin(-reach);
}
