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
const SECOND = 2;

/**
 * @param {HTMLElement} surface @param {Gestures} on
 * @returns {{abandon: () => boolean}}  abandon: end the gesture; true when a box or a prompt was being dragged
 */
export function listenToPointers(surface, on) {
  /** @type {Map<number, Spot>} fingers on the surface */
  const down = new Map();
  /** @type {any} the gesture under way, or null */
  let doing = null;
  const takeSpace = listenToSpace(surface, on.space);

  const spot = (event) => {
    const { left, top } = surface.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const kind = (event) => (event.pointerType === 'touch' ? 'touch' : 'mouse');

  surface.addEventListener('pointerdown', (event) => {
    const at = spot(event);
    surface.dataset.focus = 'pointer'; // :focus-visible cannot tell: it takes focus() for the keyboard
    surface.focus({ preventScroll: true });
    event.preventDefault(); // no text selection, no autoscroll under the middle button
    surface.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at);
    if (down.size === 2) {
      on.cancel();
      doing = { what: 'pinch', ...pinchOf(down) };
    } else if (down.size === 1) {
      doing = begin(event, at);
    }
  });

  function begin(event, at) {
    if (event.button === MIDDLE || (event.button === 0 && (takeSpace() || on.isPanMode())))
      return { what: 'pan', last: at };
    const isBackground = event.button === SECOND || event.altKey || event.ctrlKey;
    const target = isBackground ? null : on.targetAt(at, REACH[kind(event)]);
    if (target) return { what: 'grab', target, from: at, moved: false };
    return { what: 'press', from: at, isBackground, isSecond: event.button === SECOND };
  }

  surface.addEventListener('pointermove', (event) => {
    const at = spot(event);
    if (!down.has(event.pointerId)) {
      if (kind(event) !== 'mouse') return;
      surface.dataset.over = on.targetAt(at, REACH.mouse)?.kind ?? ''; // the cursor follows it
      on.hover(at);
      return;
    }
    down.set(event.pointerId, at);
    if (doing?.what === 'pinch') {
      const now = pinchOf(down);
      on.pan(now.middle.x - doing.middle.x, now.middle.y - doing.middle.y);
      on.zoom(now.apart / doing.apart, now.middle);
      doing = { what: 'pinch', ...now };
    } else if (doing) {
      doing = move(doing, at, kind(event));
    }
  });

  /** The gesture after the pointer has moved. */
  function move(was, at, pointer) {
    if (was.what === 'pan') {
      on.pan(at.x - was.last.x, at.y - was.last.y);
      return { ...was, last: at };
    }
    if (was.what === 'box') {
      on.drawBox(was.from, at);
      return was;
    }
    const far = Math.hypot(at.x - was.from.x, at.y - was.from.y) > SLOP[pointer];
    if (was.what === 'grab') {
      if (!was.moved && !far) return was;
      on.drag(was.target, was.from, at);
      return { ...was, moved: true };
    }
    if (!far) return was;
    if (was.isSecond) return { what: 'pan', last: at }; // the second button draws nothing
    if (on.dragPans(pointer === 'touch')) {
      on.pan(at.x - was.from.x, at.y - was.from.y);
      return { what: 'pan', last: at };
    }
    on.drawBox(was.from, at);
    return { what: 'box', from: was.from };
  }

  surface.addEventListener('pointerup', (event) => {
    if (!down.delete(event.pointerId)) return;
    const [was, at, since] = [doing, spot(event), event.timeStamp];
    // after a pinch the finger that is left pans; it must not place a point
    doing = was?.what === 'pinch' && down.size === 1 ? { what: 'pan', last: [...down.values()][0] } : null;
    if (was?.what === 'press') on.tap(at, { isBackground: was.isBackground, isTouch: kind(event) === 'touch', since });
    else if (was?.what === 'box') on.addBox(was.from, at, since);
    else if (was?.what === 'grab' && was.moved) on.drop(was.target, was.from, at, since);
    else if (was?.what === 'grab') on.touch(was.target);
  });

  surface.addEventListener('pointercancel', (event) => {
    down.delete(event.pointerId);
    doing = null;
    on.cancel();
  });
  surface.addEventListener('pointerleave', (event) => {
    if (kind(event) === 'mouse' && !down.size) on.leave();
  });
  surface.addEventListener('contextmenu', (event) => event.preventDefault());
  surface.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      // lines or pixels, and a trackpad's pinch comes as small steps with ctrl
      const step = event.deltaY * (event.deltaMode === 1 ? 30 : 1) * (event.ctrlKey ? 4 : 1);
      on.zoom(Math.exp(-Math.max(-240, Math.min(240, step)) * WHEEL_STEP), spot(event));
    },
    { passive: false },
  );

  function abandon() {
    const was = doing;
    doing = was ? { what: 'nothing' } : null;
    if (was) on.cancel();
    return was?.what === 'box' || was?.what === 'grab';
  }

  return { abandon };
}

function pinchOf(down) {
  const [a, b] = [...down.values()];
  return { middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }, apart: Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) };
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
