/**
 * Outlines: closed loops of corners in photo pixels. Pure functions, loops in, loops out.
 *
 * @typedef {[number, number][][]} Loops
 * @typedef {{loop: number, index: number}} Corner
 * @typedef {import('./prompts.js').Spot} Spot
 */

const LEAST = 3; // corners of a loop

/** @param {Loops} loops @param {Corner} corner @param {Spot} to @param {import('./prompts.js').Size} photo @returns {Loops} */
export const moveCorner = (loops, { loop, index }, to, photo) =>
  changeLoop(loops, loop, (corners) => corners.with(index, inside(to, photo)));

/** A new corner after another one. @param {Loops} loops @param {Corner} after @param {Spot} at @returns {Loops} */
export const insertCorner = (loops, { loop, index }, at, photo) =>
  changeLoop(loops, loop, (corners) => corners.toSpliced(index + 1, 0, inside(at, photo)));

/** Without a corner; a loop that is left with two goes altogether. @param {Loops} loops @param {Corner} corner @returns {Loops} */
export const removeCorner = (loops, { loop, index }) =>
  changeLoop(loops, loop, (corners) => corners.toSpliced(index, 1)).filter((corners) => corners.length >= LEAST);

/** The nearest corner, or null if none is within reach. @param {Loops} loops @param {Spot} at @param {number} reach  photo pixels */
export function cornerAt(loops, at, reach) {
  return nearest(loops, reach, ([x, y]) => Math.hypot(x - at.x, y - at.y));
}

/** The corner before the nearest edge, or null. @param {Loops} loops @param {Spot} at @param {number} reach  photo pixels */
export function edgeAt(loops, at, reach) {
  return nearest(loops, reach, (corner, index, loop) => distance(at, corner, loop[(index + 1) % loop.length]));
}

/** @returns {Corner | null} */
function nearest(loops, reach, measure) {
  let [found, best] = [null, reach];
  for (const [loop, corners] of loops.entries()) {
    for (const [index, corner] of corners.entries()) {
      const far = measure(corner, index, corners);
      if (far <= best) [found, best] = [{ loop, index }, far];
    }
  }
  return found;
}

/** From a spot to the straight line between two corners. */
function distance({ x, y }, [x0, y0], [x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const along = Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x0 + along * dx - x, y0 + along * dy - y);
}

const changeLoop = (loops, index, change) => loops.map((corners, at) => (at === index ? change(corners) : corners));

/** @returns {[number, number]} */
const inside = ({ x, y }, { width, height }) => [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
