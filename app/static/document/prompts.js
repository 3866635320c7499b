/**
 * The document: the prompts and layers of one photo. Pure functions: they take a document and return a new one.
 * Nothing here knows the page or the server. Coordinates are photo pixels.
 *
 * The prompts are a chain of steps. A step holds all points and the box at that time; each step refines the mask that
 * was picked in the step before (the server feeds its logits back).
 *
 * @typedef {[number, number, 0 | 1]} Point  x, y, label: 1 object, 0 background
 * @typedef {[number, number, number, number]} Box  x0, y0, x1, y1
 * @typedef {{points: Point[], box: Box | null, pick: number | null, refine?: boolean}} PromptSet
 *   pick: index of the chosen candidate; refine: the server looks at that one a second time
 * @typedef {{size: [number, number], counts: string}} Rle  COCO's compressed form
 * @typedef {{rle: Rle, mask: string, area: number, iou: number | null, colour: string, checkpoint: string,
 *            chain: PromptSet[]}} MaskObject  a mask at photo size; chain: empty where no prompts made it, and iou null
 *   where it was made by hand
 * @typedef {MaskObject & {id: number, name: string, visible: boolean, category?: number | string | null}} Layer
 *   category: id of its class, where a folder is labelled
 * @typedef {{chain: PromptSet[], layers: Layer[], selected: number | null, made: number}} Doc
 *   layers: the topmost first; selected: id of a layer; made: how many layers there ever were
 * @typedef {{kind: 'point' | 'corner', index: number} | {kind: 'box'} | {kind: 'vertex', loop: number, index: number}} Target
 *   a prompt, a corner of the box, or one of an outline
 * @typedef {{x: number, y: number}} Spot
 * @typedef {{width: number, height: number}} Size
 */

/** @type {Doc} */
export const EMPTY_DOC = Object.freeze({ chain: [], layers: [], selected: null, made: 0 });

/** @type {PromptSet} */
const NO_PROMPTS = Object.freeze({ points: [], box: null, pick: null });

/** The current prompts. @param {Doc} doc @returns {PromptSet} */
export const currentPrompts = (doc) => doc.chain.at(-1) ?? NO_PROMPTS;

/** @param {Doc} doc */
export const hasPrompts = (doc) => doc.chain.length > 0;

/** Whether the prompts say what the object is: background points alone give no mask. @param {Doc} doc */
export const hasObjectPrompt = (doc) =>
  currentPrompts(doc).box !== null || currentPrompts(doc).points.some(([, , label]) => label === 1);

/**
 * What a prediction depends on: all but the last pick, which only chooses one of its masks, unless that is refined.
 * @param {PromptSet[]} chain
 */
export const predictionKey = (chain) =>
  JSON.stringify(
    chain.map((step, index) => (index === chain.length - 1 && !step.refine ? { ...step, pick: null } : step)),
  );

/**
 * Add a point. It refines the mask on the screen: the step before keeps that pick.
 * Without a mask on the screen there is nothing to refine; the point then joins the last step.
 *
 * @param {Doc} doc @param {Point} point
 * @param {number | null} shown  the candidate on the screen when the point was placed
 * @param {number} maxSteps  the longest chain that the server takes; after it, a new chain starts
 * @returns {Doc}
 */
export function addPoint(doc, point, shown, maxSteps) {
  const last = currentPrompts(doc);
  const points = [...last.points, point];
  const before = doc.chain.slice(0, -1);
  const earlier = shown === null || !hasPrompts(doc) ? before : [...before, { ...last, pick: shown }];
  if (earlier.length >= maxSteps) return restart(doc, points, last.box);
  return { ...doc, selected: null, chain: [...earlier, { points, box: last.box, pick: null }] };
}

/** Set the box, or replace it. @param {Doc} doc @param {Box} box @returns {Doc} */
export const setBox = (doc, box) => restart(doc, currentPrompts(doc).points, box);

/**
 * Move a prompt.
 * @param {Doc} doc @param {Target} target @param {Spot} from @param {Spot} to
 * @param {Size} photo  prompts stay inside it
 * @returns {Doc}
 */
export function moveTarget(doc, target, from, to, photo) {
  const { points, box } = currentPrompts(doc);
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  if (target.kind === 'point') {
    /** @type {(point: Point) => Point} */
    const moved = ([x, y, label]) => [clamp(x + dx, photo.width), clamp(y + dy, photo.height), label];
    return restart(
      doc,
      points.map((point, index) => (index === target.index ? moved(point) : point)),
      box,
    );
  }
  if (!box) return doc;
  if (target.kind === 'corner') {
    return restart(doc, points, boxBetween(corners(box)[(target.index + 2) % 4], to, photo));
  }
  const bx = Math.min(Math.max(dx, -box[0]), photo.width - box[2]);
  const by = Math.min(Math.max(dy, -box[1]), photo.height - box[3]);
  return restart(doc, points, round([box[0] + bx, box[1] + by, box[2] + bx, box[3] + by]));
}

/** @param {Doc} doc @param {Target} target @returns {Doc} */
export function removeTarget(doc, target) {
  const { points, box } = currentPrompts(doc);
  if (target.kind !== 'point') return restart(doc, points, null);
  return restart(
    doc,
    points.filter((_, index) => index !== target.index),
    box,
  );
}

/** Remove the prompts, keep the layers. @param {Doc} doc @returns {Doc} */
export const clearPrompts = (doc) => ({ ...doc, chain: [] });

/**
 * Choose one of the candidates. Only the one that was refined is; another one is shown as it was.
 * @param {PromptSet[]} chain @param {number} index @returns {PromptSet[]}
 */
export function withPick(chain, index) {
  const { refine, pick, ...last } = chain.at(-1);
  return [...chain.slice(0, -1), { ...last, pick: index, ...(refine && pick === index && { refine }) }];
}

/** Refine one of the candidates. @param {PromptSet[]} chain @param {number} index @returns {PromptSet[]} */
export const withRefined = (chain, index) => [...chain.slice(0, -1), { ...chain.at(-1), pick: index, refine: true }];

/** Clockwise from the top left. @param {Box} box @returns {Spot[]} */
export const corners = ([x0, y0, x1, y1]) => [
  { x: x0, y: y0 },
  { x: x1, y: y0 },
  { x: x1, y: y1 },
  { x: x0, y: y1 },
];

/** The box with these two corners, in any order. @param {Spot} a @param {Spot} b @param {Size} photo @returns {Box} */
export function boxBetween(a, b, photo) {
  const [xa, xb] = [clamp(a.x, photo.width), clamp(b.x, photo.width)];
  const [ya, yb] = [clamp(a.y, photo.height), clamp(b.y, photo.height)];
  return round([Math.min(xa, xb), Math.min(ya, yb), Math.max(xa, xb), Math.max(ya, yb)]);
}

/** @param {Spot} at @param {boolean} isBackground @param {Size} photo @returns {Point} */
export const pointAt = (at, isBackground, photo) => [
  clamp(at.x, photo.width),
  clamp(at.y, photo.height),
  isBackground ? 0 : 1,
];

/**
 * Check a document that the browser stored; null when it is not valid.
 * @param {unknown} value @returns {Doc | null}
 */
export function parseDoc(value) {
  const doc = /** @type {Doc} */ (value);
  const isValid =
    doc &&
    Array.isArray(doc.chain) &&
    doc.chain.every((step) => Array.isArray(step.points)) &&
    Array.isArray(doc.layers) &&
    doc.layers.every(
      (layer) => typeof layer.mask === 'string' && layer.rle && layer.checkpoint && Array.isArray(layer.chain),
    );
  return isValid ? { ...EMPTY_DOC, ...doc } : null;
}

/** A new chain of one step. @returns {Doc} */
const restart = (doc, points, box) => ({
  ...doc,
  selected: null,
  chain: points.length || box ? [{ points, box, pick: null }] : [],
});

// a tenth of a pixel is enough, and keeps the copied Python readable
const tenths = (value) => Math.round(value * 10) / 10;
const clamp = (value, limit) => tenths(Math.min(Math.max(value, 0), limit));
const round = (box) => /** @type {Box} */ (box.map(tenths));
