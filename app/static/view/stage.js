/**
 * The stage: two canvases, the photo below and masks and prompts above, so that most changes redraw only the upper one.
 * Draws the state whenever it changes.
 */

import { currentPrompts } from '../document/prompts.js';
import { nextColour, shownCandidate } from '../document/selectors.js';
import { drawBox, drawBrush, drawCrosshair, drawMask, drawOutline, drawPoint, drawStroke } from './render.js';
import { fit } from './viewport.js';

const LINE = 2; // screen pixels
const TINT = 0.45;
const PIXELATED_FROM = 4; // screen pixels for one of the photo; from here on, pixels are shown as squares

/**
 * @param {HTMLElement} surface  holds the canvases .rs-photo and .rs-marks
 * @param {import('../document/state.js').Store} store
 */
export function makeStage(surface, store) {
  const photoCanvas = /** @type {HTMLCanvasElement} */ (surface.querySelector('.rs-photo'));
  const marksCanvas = /** @type {HTMLCanvasElement} */ (surface.querySelector('.rs-marks'));
  let photoKey = ''; // what the lower canvas shows
  let drawnPicture = null;
  let frame = 0;
  /** @type {(() => void)[]} */
  let waiting = [];

  const measure = () => ({ width: surface.clientWidth, height: surface.clientHeight });

  function resize() {
    const { photo, view } = store.get();
    const stage = measure();
    store.set({ stage, view: photo && view.fitted ? fit(photo, stage) : view });
  }

  resize();
  new ResizeObserver(resize).observe(surface);
  store.subscribe(redraw);

  function redraw() {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw(store.get());
      const resolved = waiting;
      waiting = [];
      for (const resolve of resolved) resolve();
    });
  }

  /** Resolves when the state of now has been drawn. @returns {Promise<void>} */
  const drawn = () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      redraw();
    });

  function draw(state) {
    const ratio = window.devicePixelRatio || 1;
    const size = measure();
    drawPhoto(state, size, ratio);
    const context = resetCanvas(marksCanvas, size, ratio);
    if (!state.photo) return;
    const { scale, x, y } = state.view;
    context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
    if (!state.hidden) drawMasks(context, state, LINE / scale);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawPrompts(context, state, size);
  }

  function drawPhoto({ picture, photo, view }, size, ratio) {
    const key = `${size.width} ${size.height} ${ratio} ${view.scale} ${view.x} ${view.y}`;
    if (key === photoKey && picture === drawnPicture) return;
    [photoKey, drawnPicture] = [key, picture];
    const context = resetCanvas(photoCanvas, size, ratio);
    if (!photo) return;
    context.imageSmoothingEnabled = view.scale * (photo.width / picture.naturalWidth) < PIXELATED_FROM;
    context.imageSmoothingQuality = 'high';
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.drawImage(picture, view.x, view.y, photo.width * view.scale, photo.height * view.scale);
  }

  return { drawn };
}

/** Layers from the bottom up; the current object lies on top. @param {number} line  photo pixels */
function drawMasks(context, state, line) {
  if (state.everything) return drawEverything(context, state, line);
  const { history, shapes, preview, draft, prediction, predicting, outline, strokes } = state;
  const { layers, selected } = history.present;
  for (const layer of [...layers].reverse()) {
    const shape = layer.visible && shapes.get(layer.mask);
    if (!shape) continue;
    const style = layer.id === selected ? { tint: TINT, line } : { tint: 0.26, line, strength: 0.75 };
    if (outline?.layer === layer.id) style.line = 0; // its corners show it
    drawMask(context, shape, layer.colour, style);
  }
  for (const stroke of strokes) drawStroke(context, stroke, TINT);
  const colour = nextColour(state);
  const candidate = shownCandidate(state);
  const shape = candidate && shapes.get(candidate.mask);
  // while a prompt is dragged, and until it is answered, the preview is newer than the prediction
  const isNewer = preview && (!prediction || predicting || draft?.doc);
  if (isNewer) drawMask(context, preview, colour, { tint: 0.3, line, strength: 0.9 });
  else if (shape) drawMask(context, shape, colour, { tint: TINT, line });
}

function drawEverything(context, { everything, shapes }, line) {
  const { masks, hovered } = everything;
  masks.forEach((mask, index) => {
    const shape = shapes.get(mask.mask);
    if (shape && index !== hovered)
      drawMask(context, shape, mask.colour, { tint: hovered === null ? 0.4 : 0.28, line: line * 0.75 });
  });
  const shape = hovered !== null && masks[hovered] && shapes.get(masks[hovered].mask);
  if (shape) drawMask(context, shape, masks[hovered].colour, { tint: 0.62, line: line * 1.6 });
}

function drawPrompts(context, state, size) {
  const { view, history, draft, everything, touched, crosshair, outline, brush, brushAt, mode } = state;
  if (outline) drawOutline(context, view, draft?.loops ?? outline.loops, touched?.kind === 'vertex' ? touched : null);
  const isPainting = mode === 'brush' || mode === 'eraser';
  if (isPainting && (crosshair ?? brushAt)) drawBrush(context, view, crosshair ?? brushAt, brush);
  if (!everything) {
    const { points, box } = currentPrompts(draft?.doc ?? history.present);
    if (draft?.box) drawBox(context, view, draft.box, { isOpen: true });
    else if (box) drawBox(context, view, box, { isTouched: touched?.kind === 'box' || touched?.kind === 'corner' });
    for (const [index, point] of points.entries()) {
      drawPoint(context, view, point, touched?.kind === 'point' && touched.index === index);
    }
  }
  if (crosshair) drawCrosshair(context, view, crosshair, size);
}

/** An empty canvas. Its size is set only when it changed: that costs time. */
function resetCanvas(canvas, { width, height }, ratio) {
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext('2d');
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, w, h);
  return context;
}
