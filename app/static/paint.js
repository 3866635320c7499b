/** What is drawn: pure drawing on a 2D context. Masks in photo pixels; handles in screen pixels, the same size at any zoom. */

import { corners } from './story.js';
import { toScreen } from './view.js';

export const POINT_RADIUS = 9;
const POINT_COLOURS = ['#e63c3c', '#28c850']; // background, object
const BOX_COLOUR = '#28c850';
const WHITE = '#fff';
const SHADOW = 'rgba(0, 0, 0, .55)';

/**
 * A tint and an outline of constant width.
 * @param {CanvasRenderingContext2D} context  its transform takes photo pixels
 * @param {import('./outline.js').Shape} shape @param {string} colour
 * @param {{tint: number, line: number, strength?: number}} style  line in photo pixels
 */
export function paintMask(context, shape, colour, { tint, line, strength = 1 }) {
  context.fillStyle = colour;
  context.globalAlpha = tint;
  context.fill(shape.path, 'evenodd');
  context.lineJoin = 'round';
  // a dark rim, or the outline drowns where the photo has its colour
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

/** @param {CanvasRenderingContext2D} context  in screen pixels, like all below */
export function paintPoint(context, view, [x, y, label], isTouched) {
  const at = toScreen(view, { x, y });
  if (isTouched) ring(context, at, POINT_RADIUS + 4, 'rgba(255, 255, 255, .45)');
  ring(context, at, POINT_RADIUS + 1.5, SHADOW);
  ring(context, at, POINT_RADIUS + 0.5, WHITE);
  ring(context, at, POINT_RADIUS - 2, POINT_COLOURS[label]);
  // the sign says it to those who do not see the colour
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

/** @param {boolean} [isOpen]  still being drawn: no corners to take hold of yet */
export function paintBox(context, view, box, isTouched, isOpen = false) {
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

/** The keyboard's pointer. @param {{width: number, height: number}} stage */
export function paintCross(context, view, cross, stage) {
  const at = toScreen(view, cross);
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

/**
 * A thumbnail: the part of the photo where the mask lies, all else dimmed.
 * @param {HTMLCanvasElement} canvas @param {CanvasImageSource} picture  covers the photo at any resolution
 * @param {{width: number, height: number}} photo @param {import('./outline.js').Shape} shape @param {string} colour
 */
export function paintCrop(canvas, picture, photo, shape, colour) {
  const context = canvas.getContext('2d');
  const [x0, y0, x1, y1] = shape.empty ? [0, 0, photo.width, photo.height] : withMargin(shape.box_xyxy, photo);
  const scale = Math.min(canvas.width / (x1 - x0), canvas.height / (y1 - y0));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(
    scale,
    0,
    0,
    scale,
    canvas.width / 2 - (scale * (x0 + x1)) / 2,
    canvas.height / 2 - (scale * (y0 + y1)) / 2,
  );
  context.drawImage(picture, 0, 0, photo.width, photo.height);
  const outside = new Path2D(shape.path);
  outside.rect(0, 0, photo.width, photo.height);
  context.fillStyle = 'rgba(10, 14, 20, .62)';
  context.fill(outside, 'evenodd');
  context.strokeStyle = colour;
  context.lineWidth = 2.5 / scale;
  context.lineJoin = 'round';
  context.stroke(shape.path);
}

/** What lies around an object tells what it is; beyond the photo lies nothing. */
function withMargin([x0, y0, x1, y1], { width, height }) {
  const margin = 0.12 * Math.max(x1 - x0, y1 - y0) + 2;
  return [
    Math.max(0, x0 - margin),
    Math.max(0, y0 - margin),
    Math.min(width, x1 + margin),
    Math.min(height, y1 + margin),
  ];
}

function ring(context, at, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  context.fill();
}
