/** What pointer and crosshair mean: screen -> photo, and the mode that is on. See gestures.js for what a gesture is. */

import { targetAt } from './stage.js';
import { boxBetween, moveTarget } from './story.js';
import { isInside, pan, toPhoto, toScreen, zoom } from './view.js';

const CROSS_STEP = 8; // screen pixels
const CROSS_LEAP = 5; // times that, with Shift
const OUTSIDE = 6; // screen pixels beside the photo that still count as its edge

/** @param {import('./state.js').App} app @param {{actions: any, asking: any, everything: any, takeSpace: () => boolean}} parts */
export function makePointing(app, { actions, asking, everything, takeSpace }) {
  const { store, surface } = app;
  const photoSpot = (at) => toPhoto(store.get().view, at);
  const isHit = (spot) => isInside(spot, store.get().photo, OUTSIDE / store.get().view.scale);

  function look(spot) {
    if (isInside(spot, store.get().photo)) asking.hoverAt(spot);
    else if (store.get().look) store.set({ look: null });
  }

  function hover(at) {
    const state = store.get();
    if (!state.photo) return;
    const spot = photoSpot(at);
    if (!state.pointed || state.cross) store.set({ pointed: true, cross: null });
    surface.dataset.over = targetAt(state, at, 11)?.kind ?? '';
    if (state.everything) everything.hover(spot);
    else if (state.draft?.corner)
      store.set({ draft: { corner: state.draft.corner, box: boxBetween(state.draft.corner, spot, state.photo) } });
    else look(spot);
  }

  function leave() {
    if (!store.get().photo) return;
    store.set({ pointed: false, look: null });
    if (store.get().everything) everything.hover(null);
  }

  /** A click, a tap, or the keyboard's space. */
  function place(spot, isBackground, since) {
    const { everything: found, mode, draft, photo } = store.get();
    if (!photo || !isHit(spot)) return;
    if (found) everything.take(spot);
    else if (mode === 'box' && !isBackground) placeCorner(spot, draft?.corner, since);
    else if (mode !== 'pan') actions.addPoint(spot, isBackground || mode === 'background', since);
  }

  function placeCorner(spot, first, since) {
    if (first) {
      actions.addBox(first, spot, since);
    } else {
      store.set({ draft: { corner: spot, box: boxBetween(spot, spot, store.get().photo) } });
      app.say('First corner set; now the opposite one.');
    }
  }

  function moved(target, from, to) {
    const { story, photo } = store.get();
    return moveTarget(story.present, target, photoSpot(from), photoSpot(to), photo);
  }

  const shift = (change) => {
    const { view, photo, stage } = store.get();
    if (photo) store.set({ view: change(view, photo, stage) });
  };

  /** @type {import('./gestures.js').Intents} */
  const intents = {
    targetAt: (at, reach) => (store.get().photo ? targetAt(store.get(), at, reach) : null),
    dragMeans(isTouch) {
      const { mode, everything: found, photo } = store.get();
      return !photo || found || mode === 'pan' || (isTouch && mode !== 'box') ? 'pan' : 'box';
    },
    wantsPan: () => takeSpace() || store.get().mode === 'pan',
    hover,
    leave,
    tap(at, { background, isTouch, since }) {
      if (store.get().cross) store.set({ cross: null });
      if (isTouch && store.get().pointed) store.set({ pointed: false });
      place(photoSpot(at), background, since);
    },
    boxing: (from, to) =>
      store.set({ draft: { box: boxBetween(photoSpot(from), photoSpot(to), store.get().photo) }, look: null }),
    box(from, to, since) {
      const [x0, y0, x1, y1] = boxBetween(photoSpot(from), photoSpot(to), store.get().photo);
      if (x1 > x0 && y1 > y0) actions.addBox({ x: x0, y: y0 }, { x: x1, y: y1 }, since);
      else store.set({ draft: null });
    },
    touch: (target) => store.set({ touched: target }),
    dragging(target, from, to) {
      const doc = moved(target, from, to);
      store.set({ draft: { doc }, touched: target });
      asking.preview(doc);
    },
    drop(target, from, to, since) {
      actions.moveTarget(target, photoSpot(from), photoSpot(to), since);
    },
    pan: (dx, dy) => shift((view, photo, stage) => pan(view, dx, dy, photo, stage)),
    zoom: (factor, at) => shift((view, photo, stage) => zoom(view, factor, at, photo, stage)),
    cancel: () => store.set({ draft: null, look: null }),
  };

  /** The keyboard's pointer starts in the middle. */
  function showCross() {
    const { photo, cross } = store.get();
    if (photo && !cross) store.set({ cross: { x: photo.width / 2, y: photo.height / 2 }, pointed: true });
  }

  function moveCross(dx, dy, isBig) {
    showCross();
    const { photo, cross, view, stage, draft } = store.get();
    if (!photo) return;
    const step = Math.max(0.5, (CROSS_STEP * (isBig ? CROSS_LEAP : 1)) / view.scale);
    const next = {
      x: Math.min(Math.max(cross.x + dx * step, 0), photo.width),
      y: Math.min(Math.max(cross.y + dy * step, 0), photo.height),
    };
    const at = toScreen(view, next);
    const out = (value, limit) => (value < 0 ? -value : value > limit ? limit - value : 0);
    const [outX, outY] = [out(at.x, stage.width), out(at.y, stage.height)];
    store.set({
      cross: next,
      view: outX || outY ? pan(view, outX, outY, photo, stage) : view,
      draft: draft?.corner ? { corner: draft.corner, box: boxBetween(draft.corner, next, photo) } : draft,
    });
    if (store.get().everything) everything.hover(next);
    else look(next);
  }

  function placeCross(since) {
    showCross();
    if (store.get().photo) place(store.get().cross, false, since);
  }

  const zoomBy = (factor) => intents.zoom(factor, { x: store.get().stage.width / 2, y: store.get().stage.height / 2 });

  return { intents, showCross, moveCross, placeCross, zoomBy };
}
