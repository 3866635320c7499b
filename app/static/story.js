/**
 * The document: what a person has said about the photo. Pure functions, old document in, new one out; nothing here
 * knows the page or the server. Coordinates are photo pixels.
 *
 * @typedef {[number, number, 0 | 1]} Point  x, y, label: 1 object, 0 background
 * @typedef {[number, number, number, number]} Box  x0, y0, x1, y1
 * @typedef {{points: Point[], box: Box | null, pick: number | null}} Step
 * @typedef {{size: [number, number], counts: string}} Rle  COCO's compressed form
 * @typedef {{id: number, name: string, colour: string, visible: boolean, rle: Rle, mask: string, area: number,
 *            iou: number, checkpoint: string, chain: Step[]}} Layer  chain: empty where no prompt made it
 * @typedef {{chain: Step[], layers: Layer[], selected: number | null, made: number}} Doc  layers: the topmost first
 * @typedef {{kind: 'point' | 'corner', index: number} | {kind: 'box'}} Target  a prompt, or a part of one
 * @typedef {{width: number, height: number}} Size
 */

/** @type {Doc} */
export const EMPTY = Object.freeze({ chain: [], layers: [], selected: null, made: 0 });

const NOTHING = Object.freeze({ points: [], box: null, pick: null });

/** The prompts there are now. @param {Doc} doc @returns {Step} */
export const prompts = (doc) => doc.chain.at(-1) ?? NOTHING;

/** @param {Doc} doc */
export const hasPrompts = (doc) => doc.chain.length > 0;

/** Background alone asks for no mask. @param {Doc} doc */
export const hasObject = (doc) => prompts(doc).box !== null || prompts(doc).points.some(([, , label]) => label === 1);

/**
 * What an answer of the server depends on: all but the last pick, which only says which of its masks is shown.
 * @param {Step[]} chain
 */
export const questionOf = (chain) =>
  JSON.stringify(chain.map((step, index) => (index === chain.length - 1 ? { ...step, pick: null } : step)));

/**
 * Add a point. It refines the mask that was seen: the step before keeps that pick, and the server feeds its logits back.
 * Without an answer on the screen there was nothing to refine; the point then joins the step it was clicked after.
 *
 * @param {Doc} doc @param {Point} point
 * @param {number | null} seen  the candidate that was shown when the point was placed
 * @param {number} mostSteps  the server follows no longer chain; the step after the last one starts anew
 * @returns {Doc}
 */
export function addPoint(doc, point, seen, mostSteps) {
  const last = prompts(doc);
  const points = [...last.points, point];
  const before = doc.chain.slice(0, -1);
  const earlier = seen === null || !hasPrompts(doc) ? before : [...before, { ...last, pick: seen }];
  if (earlier.length >= mostSteps) return anew(doc, points, last.box);
  return { ...doc, selected: null, chain: [...earlier, { points, box: last.box, pick: null }] };
}

/** Draw the box, or draw it again. @param {Doc} doc @param {Box} box @returns {Doc} */
export const setBox = (doc, box) => anew(doc, prompts(doc).points, box);

/**
 * Take a prompt from one place to another.
 * @param {Doc} doc @param {Target} target @param {{x: number, y: number}} from @param {{x: number, y: number}} to
 * @param {Size} size  of the photo; nothing leaves it
 * @returns {Doc}
 */
export function moveTarget(doc, target, from, to, size) {
  const { points, box } = prompts(doc);
  if (target.kind === 'point') {
    const moved = points.map((point, index) =>
      index === target.index
        ? /** @type {Point} */ ([
            clamp(point[0] + to.x - from.x, size.width),
            clamp(point[1] + to.y - from.y, size.height),
            point[2],
          ])
        : point,
    );
    return anew(doc, moved, box);
  }
  if (!box) return doc;
  if (target.kind === 'box') {
    const dx = Math.min(Math.max(to.x - from.x, -box[0]), size.width - box[2]);
    const dy = Math.min(Math.max(to.y - from.y, -box[1]), size.height - box[3]);
    return anew(doc, points, round([box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy]));
  }
  const opposite = corners(box)[(target.index + 2) % 4];
  return anew(doc, points, boxBetween(opposite, to, size));
}

/** @param {Doc} doc @param {Target} target @returns {Doc} */
export function removeTarget(doc, target) {
  const { points, box } = prompts(doc);
  if (target.kind !== 'point') return anew(doc, points, null);
  return anew(
    doc,
    points.filter((_, index) => index !== target.index),
    box,
  );
}

/** Forget the prompts, keep the layers. @param {Doc} doc @returns {Doc} */
export const clearPrompts = (doc) => ({ ...doc, chain: [] });

/** Choose one of the candidates. @param {Doc} doc @param {number} index @returns {Doc} */
export const choose = (doc, index) => ({
  ...doc,
  chain: [...doc.chain.slice(0, -1), { ...prompts(doc), pick: index }],
});

/** Clockwise from the top left. @param {Box} box */
export const corners = ([x0, y0, x1, y1]) => [
  { x: x0, y: y0 },
  { x: x1, y: y0 },
  { x: x1, y: y1 },
  { x: x0, y: y1 },
];

/** Whichever way it was drawn. @returns {Box} */
export function boxBetween(a, b, size) {
  const [xa, xb] = [clamp(a.x, size.width), clamp(b.x, size.width)];
  const [ya, yb] = [clamp(a.y, size.height), clamp(b.y, size.height)];
  return round([Math.min(xa, xb), Math.min(ya, yb), Math.max(xa, xb), Math.max(ya, yb)]);
}

/** @param {{x: number, y: number}} at @param {boolean} background @param {Size} size @returns {Point} */
export const pointAt = (at, background, size) => [
  clamp(at.x, size.width),
  clamp(at.y, size.height),
  background ? 0 : 1,
];

/** What was kept in the browser, or null where it is not a document of ours. @param {unknown} value @returns {Doc | null} */
export function readDoc(value) {
  const doc = /** @type {Doc} */ (value);
  const sound =
    doc &&
    Array.isArray(doc.chain) &&
    doc.chain.every((step) => Array.isArray(step.points)) &&
    Array.isArray(doc.layers) &&
    doc.layers.every(
      (layer) => typeof layer.mask === 'string' && layer.rle && layer.checkpoint && Array.isArray(layer.chain),
    );
  return sound ? { ...EMPTY, ...doc } : null;
}

/** @returns {Doc} */
const anew = (doc, points, box) => ({
  ...doc,
  selected: null,
  chain: points.length || box ? [{ points, box, pick: null }] : [],
});

// a tenth of a pixel is finer than any hand, and keeps the copied Python readable
const clamp = (value, limit) => Math.round(Math.min(Math.max(value, 0), limit) * 10) / 10;
const round = (box) => /** @type {Box} */ (box.map((value) => Math.round(value * 10) / 10));
