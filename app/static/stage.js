/** The stage: two canvases, the photo below and the marks above, so that a moving mouse redraws only the light one. */

import { shownIndex } from './asking.js';
import { freeColour } from './layers.js';
import { paintBox, paintCross, paintMask, paintPoint } from './paint.js';
import { corners, prompts } from './story.js';
import { toScreen } from './view.js';

const LINE = 2; // screen pixels
const TINT = 0.45;
const PIXELS_FROM = 4; // from this zoom on one wants to see pixels, not a blur

/**
 * @param {HTMLElement} surface  holds the canvases .rs-photo and .rs-marks
 * @param {() => import('./state.js').State} get
 * @param {(size: {width: number, height: number}) => void} onResize
 */
export function makeStage(surface, get, onResize) {
  const photoCanvas = /** @type {HTMLCanvasElement} */ (surface.querySelector('.rs-photo'));
  const marksCanvas = /** @type {HTMLCanvasElement} */ (surface.querySelector('.rs-marks'));
  let drawnPhoto = ''; // what the lower canvas shows
  let drawnPicture = null;
  let frame = 0;
  /** @type {(() => void)[]} */
  let waiting = [];

  new ResizeObserver(() => onResize(measure())).observe(surface);

  const measure = () => ({ width: surface.clientWidth, height: surface.clientHeight });

  function redraw() {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw(get());
      const done = waiting;
      waiting = [];
      for (const tell of done) tell();
    });
  }

  /** Resolves when all that is in the state now has been drawn. @returns {Promise<void>} */
  const drawn = () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      redraw();
    });

  function draw(state) {
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = measure();
    drawPhoto(state, width, height, ratio);
    const context = sized(marksCanvas, width, height, ratio);
    if (!state.photo) return;
    const { scale, x, y } = state.view;
    context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
    if (!state.hidden) drawMasks(context, state, LINE / scale);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawHandles(context, state, { width, height });
  }

  function drawPhoto(state, width, height, ratio) {
    const { picture, photo, view } = state;
    const wanted = `${width} ${height} ${ratio} ${view.scale} ${view.x} ${view.y}`;
    if (wanted === drawnPhoto && picture === drawnPicture) return;
    [drawnPhoto, drawnPicture] = [wanted, picture];
    const context = sized(photoCanvas, width, height, ratio);
    if (!photo) return;
    context.imageSmoothingEnabled = view.scale * (photo.width / picture.naturalWidth) < PIXELS_FROM;
    context.imageSmoothingQuality = 'high';
    context.drawImage(
      picture,
      ratio * view.x,
      ratio * view.y,
      ratio * photo.width * view.scale,
      ratio * photo.height * view.scale,
    );
  }

  return { redraw, drawn, measure };
}

/** Masks from the bottom up; the object in work lies on top. */
function drawMasks(context, state, line) {
  const { story, shapes, answer, look, everything, draft, asking, about } = state;
  if (everything) return drawEverything(context, state, line);
  const { layers, selected } = story.present;
  const current = currentMask(state);
  for (const layer of [...layers].reverse()) {
    const shape = layer.visible && shapes.get(layer.mask);
    if (!shape) continue;
    const isActive = layer.id === selected;
    paintMask(context, shape, layer.colour, { tint: isActive ? TINT : 0.26, line, strength: isActive ? 1 : 0.75 });
  }
  const colour = freeColour(layers, about.colours);
  const shape = current && shapes.get(current.mask);
  // a preview is newer than the answer while a prompt is dragged, and until that is answered
  if (look && (!answer || asking || draft?.doc)) paintMask(context, look, colour, { tint: 0.3, line, strength: 0.9 });
  else if (shape) paintMask(context, shape, colour, { tint: TINT, line });
}

function drawEverything(context, { everything, shapes }, line) {
  const { masks, hot } = everything;
  masks.forEach((mask, index) => {
    const shape = shapes.get(mask.mask);
    if (shape && index !== hot)
      paintMask(context, shape, mask.colour, { tint: hot === null ? 0.4 : 0.28, line: line * 0.75 });
  });
  const shape = hot !== null && masks[hot] && shapes.get(masks[hot].mask);
  if (shape) paintMask(context, shape, masks[hot].colour, { tint: 0.62, line: line * 1.6 });
}

function drawHandles(context, state, stage) {
  const { view, story, draft, everything, touched, cross } = state;
  if (!everything) {
    const { points, box } = draft?.doc ? prompts(draft.doc) : prompts(story.present);
    const open = draft?.box ?? null;
    if (box && !open) paintBox(context, view, box, touched?.kind === 'box' || touched?.kind === 'corner');
    if (open) paintBox(context, view, open, false, true);
    for (const [index, point] of points.entries()) {
      paintPoint(context, view, point, touched?.kind === 'point' && touched.index === index);
    }
  }
  if (cross) paintCross(context, view, cross, stage);
}

/** The candidate that is shown, or null. */
export function currentMask(state) {
  const index = shownIndex(state);
  return index === null ? null : state.answer.candidates[index];
}

/**
 * The prompt under the pointer: what lies on top first.
 * @param {import('./state.js').State} state @param {{x: number, y: number}} at  on the screen
 * @param {number} reach  screen pixels; a finger needs more than a mouse
 * @returns {import('./story.js').Target | null}
 */
export function targetAt({ story, view, everything }, at, reach) {
  if (everything) return null;
  const { points, box } = prompts(story.present);
  const distance = (spot) => {
    const there = toScreen(view, spot);
    return Math.hypot(there.x - at.x, there.y - at.y);
  };
  for (let index = points.length - 1; index >= 0; index--) {
    if (distance({ x: points[index][0], y: points[index][1] }) <= reach) return { kind: 'point', index };
  }
  if (!box) return null;
  const corner = corners(box).findIndex((spot) => distance(spot) <= reach);
  if (corner >= 0) return { kind: 'corner', index: corner };
  const [from, , to] = corners(box).map((spot) => toScreen(view, spot));
  const edge = reach / 2;
  const near = at.x > from.x - edge && at.x < to.x + edge && at.y > from.y - edge && at.y < to.y + edge;
  const deep = at.x > from.x + edge && at.x < to.x - edge && at.y > from.y + edge && at.y < to.y - edge;
  return near && !deep ? { kind: 'box' } : null;
}

/** Set the size only when it changed: setting it clears the canvas and costs time. */
function sized(canvas, width, height, ratio) {
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext('2d');
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, w, h);
  return context;
}
