/** Gestures and the crosshair -> actions: screen spots become photo spots, and the mode decides what a click does. */

import { say } from '../document/messages.js';
import { boxBetween, moveTarget } from '../document/prompts.js';
import { isInside, pan, targetAt, toPhoto, toScreen, zoom } from '../view/viewport.js';

const CROSSHAIR_STEP = 8; // screen pixels
const CROSSHAIR_LEAP = 5; // times that, with Shift
const OUTSIDE = 6; // screen pixels beside the photo that still count as its edge
const REACH = 11; // screen pixels from a click to a corner of an outline
const KEY_REACH = 14; // from the crosshair

/**
 * @typedef {import('../document/prompts.js').Spot} Spot
 * @param {import('../document/state.js').Store} store
 * @param {ReturnType<typeof import('./actions.js').makeActions>} actions
 * @param {ReturnType<typeof import('./found_masks.js').makeFoundMasks>} foundMasks
 * @param {import('../net/preview.js').Previews} previews
 * @param {{brush: ReturnType<typeof import('./brush.js').makeBrush>,
 *          outlining: ReturnType<typeof import('./outlining.js').makeOutlining>}} byHand
 */
export function makePointing(store, actions, foundMasks, previews, { brush, outlining }) {
  const photoSpot = (at) => toPhoto(store.get().view, at);
  const boxOf = (from, to) => boxBetween(from, to, store.get().photo);

  /** The pointer or the crosshair is here. @param {Spot} spot */
  function hoverOver(spot) {
    const { everything, photo, preview } = store.get();
    if (everything) foundMasks.hover(spot);
    else if (isInside(spot, photo)) previews.hoverAt(spot);
    else if (preview) store.set({ preview: null });
  }

  function hover(at) {
    const { photo, pointed, crosshair, draft, everything } = store.get();
    if (!photo) return;
    if (!pointed || crosshair) store.set({ pointed: true, crosshair: null });
    if (brush.isOn()) brush.to(photoSpot(at));
    else if (draft?.corner && !everything) drawFrom(draft.corner, photoSpot(at));
    else hoverOver(photoSpot(at));
  }

  function leave() {
    if (!store.get().photo) return;
    store.set({ pointed: false, preview: null, brushAt: null });
    if (store.get().everything) foundMasks.hover(null);
  }

  /** A click, a tap, or the space key. @param {Spot} spot @param {number} [reach]  screen pixels */
  function place(spot, isBackground, since, reach = REACH) {
    const { everything, mode, draft, photo, view } = store.get();
    if (!photo || !isInside(spot, photo, OUTSIDE / view.scale)) return;
    if (everything) foundMasks.keepAt(spot);
    else if (brush.isOn()) brush.dab(spot, isBackground);
    else if (outlining.isOn()) outlining.tap(spot, isBackground, reach / view.scale);
    else if (mode === 'box' && !isBackground) placeCorner(spot, draft?.corner, since);
    else if (mode !== 'pan') actions.addPoint(spot, isBackground || mode === 'background', since);
  }

  function placeCorner(spot, first, since) {
    if (first) return actions.setBox(first, spot, since);
    drawFrom(spot, spot);
    return say(store, 'First corner set; now the opposite one.');
  }

  const drawFrom = (corner, spot) => store.set({ draft: { corner, box: boxOf(corner, spot) } });

  function changeView(change) {
    const { view, photo, stage } = store.get();
    if (photo) store.set({ view: change(view, photo, stage) });
  }

  /** @type {import('./gestures.js').Gestures} */
  const gestures = {
    targetAt: (at, reach) =>
      outlining.isOn()
        ? outlining.targetAt(photoSpot(at), reach / store.get().view.scale)
        : targetAt(store.get(), at, reach),
    dragPans(isTouch) {
      const { mode, everything, photo } = store.get();
      return !photo || Boolean(everything) || ['pan', 'outline'].includes(mode) || (isTouch && mode !== 'box');
    },
    isPanMode: () => store.get().mode === 'pan',
    isPaintMode: () => Boolean(store.get().photo) && !store.get().everything && brush.isOn(),
    startStroke: (at, isOther) => brush.start(photoSpot(at), isOther),
    moveStroke: (at) => brush.to(photoSpot(at)),
    endStroke: brush.end,
    hover,
    leave,
    tap(at, { isBackground, isTouch, since }) {
      const { crosshair, pointed } = store.get();
      if (crosshair || (isTouch && pointed)) store.set({ crosshair: null, pointed: pointed && !isTouch });
      place(photoSpot(at), isBackground, since);
    },
    space(since) {
      showCrosshair();
      const { photo, crosshair, view } = store.get();
      if (photo && outlining.isOn()) outlining.space(crosshair, KEY_REACH / view.scale);
      else if (photo) place(crosshair, false, since);
    },
    drawBox: (from, to) => store.set({ draft: { box: boxOf(photoSpot(from), photoSpot(to)) }, preview: null }),
    addBox(from, to, since) {
      const [x0, y0, x1, y1] = boxOf(photoSpot(from), photoSpot(to));
      if (x1 > x0 && y1 > y0) actions.setBox(photoSpot(from), photoSpot(to), since);
      else store.set({ draft: null });
    },
    touch: (target) => store.set({ touched: target }),
    drag(target, from, to) {
      if (target.kind === 'vertex') return outlining.drag(target, photoSpot(to));
      const { history, photo } = store.get();
      const doc = moveTarget(history.present, target, photoSpot(from), photoSpot(to), photo);
      store.set({ draft: { doc }, touched: target });
      return previews.drag(doc);
    },
    drop(target, from, to, since) {
      if (target.kind === 'vertex') outlining.drop(target, photoSpot(to));
      else actions.moveTarget(target, photoSpot(from), photoSpot(to), since);
    },
    pan: (dx, dy) => changeView((view, photo, stage) => pan(view, dx, dy, photo, stage)),
    zoom: (factor, at) => changeView((view, photo, stage) => zoom(view, factor, at, photo, stage)),
    cancel() {
      brush.cancel();
      store.set({ draft: null, preview: null });
    },
  };

  /** The crosshair starts in the middle of the photo. */
  function showCrosshair() {
    const { photo, crosshair } = store.get();
    if (photo && !crosshair) store.set({ crosshair: { x: photo.width / 2, y: photo.height / 2 }, pointed: true });
  }

  /** Move by steps; the view follows. @param {number} dx @param {number} dy @param {boolean} isBig */
  function moveCrosshair(dx, dy, isBig) {
    showCrosshair();
    const { photo, crosshair, view, stage, draft } = store.get();
    if (!photo) return;
    const step = Math.max(0.5, (CROSSHAIR_STEP * (isBig ? CROSSHAIR_LEAP : 1)) / view.scale);
    const next = {
      x: Math.min(Math.max(crosshair.x + dx * step, 0), photo.width),
      y: Math.min(Math.max(crosshair.y + dy * step, 0), photo.height),
    };
    const at = toScreen(view, next);
    const back = (value, limit) => (value < 0 ? -value : value > limit ? limit - value : 0);
    const [backX, backY] = [back(at.x, stage.width), back(at.y, stage.height)];
    store.set({ crosshair: next, view: backX || backY ? pan(view, backX, backY, photo, stage) : view });
    outlining.follow(next);
    if (draft?.corner) drawFrom(draft.corner, next);
    if (!brush.isOn() && !outlining.isOn()) hoverOver(next);
  }

  return {
    gestures,
    crosshair: { show: showCrosshair, move: moveCrosshair, hide: () => store.set({ crosshair: null }) },
    zoomBy: (factor) => gestures.zoom(factor, { x: store.get().stage.width / 2, y: store.get().stage.height / 2 }),
  };
}
