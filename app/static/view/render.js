/**
 * Draws masks and prompts on a 2D context. Masks are in photo pixels; prompts are in screen pixels and keep their size
 * at any zoom.
 *
 * @typedef {import('./viewport.js').View} View
 * @typedef {import('../document/prompts.js').Spot} Spot
 */

import { corners } from '../document/prompts.js';
import { toScreen } from './viewport.js';

const POINT_RADIUS = 9;
const POINT_COLOURS = ['#e63c3c', '#28c850']; // background, object
const BOX_COLOUR = '#28c850';
const WHITE = '#fff';
const SHADOW = 'rgba(0, 0, 0, .55)';

/**
 * A tinted area with an outline.
 * @param {CanvasRenderingContext2D} context  its transform takes photo pixels
 * @param {import('./contours.js').Shape} shape @param {string} colour
 * @param {{tint: number, line: number, strength?: number}} style  line in photo pixels
 */
export function drawMask(context, shape, colour, { tint, line, strength = 1 }) {
  context.fillStyle = colour;
  context.globalAlpha = tint;
  context.fill(shape.path, 'evenodd');
  context.lineJoin = 'round';
  // a dark rim keeps the outline visible where the photo has the same colour
  context.globalAlpha = 0.5 * strength;
  context.strokeStyle = '#000';
  context.lineWidth = line * 1.8;
  context.stroke(shape.path);
  context.globalAlpha = strength;
  context.strokeStyle = colour;
  context.lineWidth = line;
  context.stroke(shape.path);
  context.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} context  in screen pixels, as in all below @param {View} view */
export function drawPoint(context, view, [x, y, label], isTouched) {
  const at = toScreen(view, { x, y });
  if (isTouched) ring(context, at, POINT_RADIUS + 4, 'rgba(255, 255, 255, .45)');
  ring(context, at, POINT_RADIUS + 1.5, SHADOW);
  ring(context, at, POINT_RADIUS + 0.5, WHITE);
  ring(context, at, POINT_RADIUS - 2, POINT_COLOURS[label]);
  // plus or minus, for those who cannot tell the colours apart
  context.strokeStyle = label ? '#04280f' : WHITE;
  context.lineWidth = 2;
  context.lineCap = 'butt';
  context.beginPath();
  context.moveTo(at.x - 4, at.y);
  context.lineTo(at.x + 4, at.y);
  if (label) {
    context.moveTo(at.x, at.y - 4);
    context.lineTo(at.x, at.y + 4);
  }
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context @param {View} view @param {import('../document/prompts.js').Box} box
 * @param {{isTouched?: boolean, isOpen?: boolean}} how  isOpen: it is being drawn and has no handles yet
 */
export function drawBox(context, view, box, { isTouched = false, isOpen = false }) {
  const [from, , to] = corners(box).map((corner) => toScreen(view, corner));
  for (const [width, colour] of [
    [4, SHADOW],
    [2, isTouched ? WHITE : BOX_COLOUR],
  ]) {
    context.lineWidth = /** @type {number} */ (width);
    context.strokeStyle = /** @type {string} */ (colour);
    context.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
  }
  if (isOpen) return;
  for (const corner of corners(box)) {
    const at = toScreen(view, corner);
    context.fillStyle = SHADOW;
    context.fillRect(at.x - 6, at.y - 6, 12, 12);
    context.fillStyle = WHITE;
    context.fillRect(at.x - 5, at.y - 5, 10, 10);
    context.fillStyle = BOX_COLOUR;
    context.fillRect(at.x - 3, at.y - 3, 6, 6);
  }
}

/**
 * A stroke that is not part of a mask yet.
 * @param {CanvasRenderingContext2D} context  its transform takes photo pixels
 * @param {import('../document/state.js').Stroke} stroke @param {number} tint
 */
export function drawStroke(context, { points, diameter, erase, colour }, tint) {
  context.save();
  if (erase) context.globalCompositeOperation = 'destination-out';
  context.globalAlpha = erase ? 1 : tint;
  context.strokeStyle = colour;
  context.lineWidth = diameter;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  context.beginPath();
  context.moveTo(...points[0]);
  for (const point of points) context.lineTo(...point);
  context.stroke();
  context.restore();
}

/** The size of the brush around the pointer. @param {Spot} spot  photo pixels @param {number} diameter  photo pixels */
export function drawBrush(context, view, spot, diameter) {
  const at = toScreen(view, spot);
  for (const [width, colour] of [
    [3, SHADOW],
    [1.5, WHITE],
  ]) {
    context.lineWidth = /** @type {number} */ (width);
    context.strokeStyle = /** @type {string} */ (colour);
    context.beginPath();
    context.arc(at.x, at.y, Math.max(1, (diameter / 2) * view.scale), 0, 2 * Math.PI);
    context.stroke();
  }
}

/**
 * Loops with a handle at each corner.
 * @param {[number, number][][]} loops  photo pixels @param {{loop: number, index: number} | null} touched
 */
export function drawOutline(context, view, loops, touched) {
  for (const [width, colour] of [
    [3.5, SHADOW],
    [1.5, WHITE],
  ]) {
    context.lineWidth = /** @type {number} */ (width);
    context.strokeStyle = /** @type {string} */ (colour);
    context.beginPath();
    for (const loop of loops) {
      for (const [index, [x, y]] of loop.entries()) {
        const at = toScreen(view, { x, y });
        if (index) context.lineTo(at.x, at.y);
        else context.moveTo(at.x, at.y);
      }
      context.closePath();
    }
    context.stroke();
  }
  for (const [number, loop] of loops.entries()) {
    for (const [index, [x, y]] of loop.entries()) {
      const isTouched = touched?.loop === number && touched.index === index;
      const at = toScreen(view, { x, y });
      ring(context, at, isTouched ? 7 : 5, SHADOW);
      ring(context, at, isTouched ? 6 : 4, WHITE);
      ring(context, at, isTouched ? 4.5 : 2.5, isTouched ? POINT_COLOURS[0] : BOX_COLOUR);
    }
  }
}

/** The keyboard's pointer. @param {{width: number, height: number}} stage */
export function drawCrosshair(context, view, crosshair, stage) {
  const at = toScreen(view, crosshair);
  for (const [width, colour] of [
    [3, SHADOW],
    [1, WHITE],
  ]) {
    context.lineWidth = /** @type {number} */ (width);
    context.strokeStyle = /** @type {string} */ (colour);
    context.beginPath();
    for (const [x0, y0, x1, y1] of [
      [0, at.y, at.x - 8, at.y],
      [at.x + 8, at.y, stage.width, at.y],
      [at.x, 0, at.x, at.y - 8],
      [at.x, at.y + 8, at.x, stage.height],
    ]) {
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
    }
    context.stroke();
  }
  ring(context, at, 2.5, SHADOW);
  ring(context, at, 1.5, WHITE);
}

function ring(context, at, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  context.fill();
}
