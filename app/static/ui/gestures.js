/**
 * Pointer events, and the space key that goes with them, -> gestures. Knows fingers, buttons and distances; what a
 * gesture does is in pointing.js. All spots are in CSS pixels from the surface's top left corner; since is
 * event.timeStamp.
 *
 * @typedef {import('../document/prompts.js').Spot} Spot
 * @typedef {import('../document/prompts.js').Target} Target
 * @typedef {object} Gestures  what is called for each gesture, and what is asked before
 * @property {(at: Spot, reach: number) => Target | null} targetAt  the prompt at a spot
 * @property {(isTouch: boolean) => boolean} dragPans  a drag pans and draws no box
 * @property {() => boolean} isPanMode
 * @property {() => boolean} isPaintMode  a drag draws with the brush
 * @property {(at: Spot, isOther: boolean) => void} startStroke  isOther: with the second button
 * @property {(at: Spot) => void} moveStroke
 * @property {() => void} endStroke
 * @property {(at: Spot) => void} hover
 * @property {() => void} leave
 * @property {(at: Spot, how: {isBackground: boolean, isTouch: boolean, since: number}) => void} tap
 * @property {(since: number) => void} space  the key was pressed and nothing was dragged
 * @property {(from: Spot, to: Spot) => void} drawBox  a box is being drawn
 * @property {(from: Spot, to: Spot, since: number) => void} addBox  it is finished
 * @property {(target: Target) => void} touch  a prompt was clicked
 * @property {(target: Target, from: Spot, to: Spot) => void} drag  a prompt is being dragged
 * @property {(target: Target, from: Spot, to: Spot, since: number) => void} drop
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, at: Spot) => void} zoom
 * @property {() => void} cancel  forget what was being drawn or dragged
 */

const SLOP = { mouse: 4, touch: 9 }; // a click may move this far
const REACH = { mouse: 11, touch: 22 };
const WHEEL_STEP = 0.0018;
const MIDDLE = 1;
const RIGHT_BUTTON = 2;

/**
 * @param {HTMLElement} surface @param {Gestures} on
 * @returns {{abandon: () => boolean}}  abandon: end the gesture; true when a box or a prompt was being dragged
 */
export function listenToPointers(surface, on) {
  /** @type {Map<number, Spot>} fingers on the surface */
  const down = new Map();
  /** @type {any} the gesture under way, or null */
  let gesture = null;
  const takeSpace = listenToSpace(surface, on.space);

  const spot = (event) => {
    const { left, top } = surface.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };

  surface.addEventListener('pointerdown', (event) => {
    surface.dataset.focus = 'pointer'; // :focus-visible cannot tell: it takes focus() for the keyboard
    surface.focus({ preventScroll: true });
    event.preventDefault(); // no text selection, no autoscroll under the middle button
    surface.setPointerCapture(event.pointerId);
    down.set(event.pointerId, spot(event));
    if (down.size === 2) {
      on.cancel();
      gesture = pinchOf(down);
    } else if (down.size === 1) {
      const isPan = event.button === MIDDLE || (event.button === 0 && (takeSpace() || on.isPanMode()));
      gesture = isPan ? { what: 'pan', last: spot(event) } : press(event, spot(event), on);
      if (gesture.what === 'stroke') on.startStroke(spot(event), gesture.isOther);
    }
  });

  surface.addEventListener('pointermove', (event) => {
    const at = spot(event);
    if (down.has(event.pointerId)) {
      down.set(event.pointerId, at);
      if (gesture?.what === 'pinch') gesture = movePinch(gesture, pinchOf(down), on);
      else if (gesture) gesture = move(gesture, at, kind(event), on);
    } else if (kind(event) === 'mouse') {
      surface.dataset.over = on.targetAt(at, REACH.mouse)?.kind ?? ''; // the cursor follows it
      on.hover(at);
    }
  });

  surface.addEventListener('pointerup', (event) => {
    if (!down.delete(event.pointerId)) return;
    const ended = gesture;
    // after a pinch the finger that is left pans; it must not place a point
    gesture = ended?.what === 'pinch' && down.size === 1 ? { what: 'pan', last: [...down.values()][0] } : null;
    if (ended) end(ended, spot(event), event, on);
  });

  surface.addEventListener('pointercancel', (event) => {
    down.delete(event.pointerId);
    gesture = null;
    on.cancel();
  });
  surface.addEventListener('pointerleave', (event) => {
    if (kind(event) === 'mouse' && !down.size) on.leave();
  });
  surface.addEventListener('contextmenu', (event) => event.preventDefault());
  const onWheel = (event) => {
    event.preventDefault();
    on.zoom(zoomFactor(event), spot(event));
  };
  surface.addEventListener('wheel', onWheel, { passive: false });

  function abandon() {
    const abandoned = gesture;
    gesture = abandoned && { what: 'nothing' };
    if (abandoned) on.cancel();
    return ['box', 'grab', 'stroke'].includes(abandoned?.what);
  }

  return { abandon };
}

const kind = (event) => (event.pointerType === 'touch' ? 'touch' : 'mouse');

/** The gesture that starts: on a prompt it grabs that, elsewhere it is a click, a box or a stroke. */
function press(event, at, on) {
  const isRightButton = event.button === RIGHT_BUTTON;
  const isBackground = isRightButton || event.altKey || event.ctrlKey;
  if (on.isPaintMode()) return { what: 'stroke', isOther: isBackground };
  const target = isBackground ? null : on.targetAt(at, REACH[kind(event)]);
  return target
    ? { what: 'grab', target, from: at, isMoved: false }
    : { what: 'press', from: at, isBackground, isRightButton };
}

/** The gesture after the pointer has moved. */
function move(gesture, at, pointer, on) {
  const { what, from } = gesture;
  if (what === 'nothing') return gesture;
  if (what === 'pan') return panTo(gesture.last, at, on);
  if (what === 'box' || what === 'stroke') {
    if (what === 'box') on.drawBox(from, at);
    else on.moveStroke(at);
    return gesture;
  }
  const isFar = Math.hypot(at.x - from.x, at.y - from.y) > SLOP[pointer];
  if (!isFar && !gesture.isMoved) return gesture;
  if (what === 'grab') {
    on.drag(gesture.target, from, at);
    return { ...gesture, isMoved: true };
  }
  if (gesture.isRightButton) return { what: 'pan', last: at }; // the second button draws nothing
  if (on.dragPans(pointer === 'touch')) return panTo(from, at, on);
  on.drawBox(from, at);
  return { what: 'box', from };
}

function panTo(last, at, on) {
  on.pan(at.x - last.x, at.y - last.y);
  return { what: 'pan', last: at };
}

function end({ what, from, target, isMoved, isBackground }, at, event, on) {
  const since = event.timeStamp;
  if (what === 'press') on.tap(at, { isBackground, isTouch: kind(event) === 'touch', since });
  else if (what === 'stroke') on.endStroke();
  else if (what === 'box') on.addBox(from, at, since);
  else if (what === 'grab' && isMoved) on.drop(target, from, at, since);
  else if (what === 'grab') on.touch(target);
}

function pinchOf(down) {
  const [a, b] = [...down.values()];
  const middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  return { what: 'pinch', middle, apart: Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) };
}

function movePinch(before, now, on) {
  on.pan(now.middle.x - before.middle.x, now.middle.y - before.middle.y);
  on.zoom(now.apart / before.apart, now.middle);
  return now;
}

/** Of a wheel event: in lines or pixels; a trackpad's pinch comes as small steps with ctrl. */
function zoomFactor({ deltaY, deltaMode, ctrlKey }) {
  const step = deltaY * (deltaMode === 1 ? 30 : 1) * (ctrlKey ? 4 : 1);
  return Math.exp(-Math.max(-240, Math.min(240, step)) * WHEEL_STEP);
}

/**
 * The space key: held, it makes a drag pan; otherwise its release counts.
 * @param {HTMLElement} surface @param {(since: number) => void} onSpace
 * @returns {() => boolean}  whether it is held; the drag that asks uses it up
 */
function listenToSpace(surface, onSpace) {
  let isDown = false;
  let isUsed = false;
  document.addEventListener('keydown', (event) => {
    if (event.key !== ' ' || (event.target !== surface && event.target !== document.body)) return;
    event.preventDefault(); // or the page scrolls
    if (!event.repeat) [isDown, isUsed] = [true, false];
  });
  document.addEventListener('keyup', (event) => {
    if (event.key !== ' ' || !isDown) return;
    isDown = false;
    if (!isUsed && event.target === surface) onSpace(event.timeStamp);
  });
  window.addEventListener('blur', () => {
    isDown = false;
  });
  return () => {
    isUsed ||= isDown;
    return isDown;
  };
}
