/**
 * The page. ``start`` puts its parts together; each part is a module of its own:
 *
 * story, layers, history    what a person has said about the photo (pure)
 * view, outline, paint      geometry and drawing (pure), stage: the canvases
 * wire, opening, asking     the server: calls, photos, masks
 * gestures, keys, pointing  hands -> intents -> actions
 * everything, taking        everything mode; files to take away
 * panel, controls, files    the page around the stage; commands: what has a key
 * session                   what outlives a reload
 *
 * state.js says what they share.
 */

import { makeActions } from './actions.js';
import { describe, makeAsking } from './asking.js';
import { makeCommands } from './commands.js';
import { listenToControls, showOffer } from './controls.js';
import { makeEverything } from './everything.js';
import { listenForFiles } from './files.js';
import { listenToPointers } from './gestures.js';
import { listenToKeys } from './keys.js';
import { makeOpening } from './opening.js';
import * as panel from './panel.js';
import { makePointing } from './pointing.js';
import { keepSession, restore } from './session.js';
import { makeStage } from './stage.js';
import { debug, firstState } from './state.js';
import { makeStore } from './store.js';
import { hasPrompts } from './story.js';
import { makeTaking } from './taking.js';
import { makeToasts } from './toasts.js';
import { fit } from './view.js';
import { makeWire, sleep } from './wire.js';

const UNREACHABLE = 'The server cannot be reached; trying again\u2026';

/** @param {HTMLElement} element  holds page.html @param {Record<string, (args: object) => Promise<any>>} server */
export async function start(element, server) {
  const root = element.querySelector('.rs');
  if (!root || root.dataset.started) return;
  root.dataset.started = 'yes';
  await addStyle(root);

  const store = makeStore(firstState());
  const toast = makeToasts(root.querySelector('.rs-toasts'));
  const surface = panel.part(root, 'stage');
  const stage = makeStage(surface, store.get, (size) => resized(store, size));
  const status = panel.part(root, 'status');
  const say = (sentence) => {
    status.textContent = sentence;
  };
  /** @type {import('./state.js').App} */
  const app = {
    root,
    surface,
    store,
    say,
    toast,
    wire: makeWire(server, () => toast(UNREACHABLE)),
    redraw: stage.redraw,
    drawn: stage.drawn,
    sayMask: () => say(describe(store.get())),
    fail: (error) => toast(error.kind ? error.message : `Something went wrong in the page: ${error.message}`),
    ask: (...args) => opening.ask(...args),
  };
  store.set({ stage: stage.measure() });
  const opening = makeOpening(app, () => everything.cancel());
  const asking = makeAsking(app);
  const actions = makeActions(app, asking.refresh);
  const everything = makeEverything(app, actions);
  const taking = makeTaking(app, actions.currentObject);

  const commands = makeCommands(app, {
    actions,
    everything,
    zoomBy: (factor) => pointing.zoomBy(factor),
    abandon: () => gestures.abandon(),
  });
  const keys = listenToKeys(surface, {
    run: (command) => commands[command]?.(),
    cross: (...args) => pointing.moveCross(...args),
    place: (since) => pointing.placeCross(since),
  });
  const pointing = makePointing(app, { actions, asking, everything, takeSpace: keys.takeSpace });
  const gestures = listenToPointers(surface, pointing.intents);
  surface.addEventListener('focus', () => {
    if (surface.dataset.focus !== 'pointer') pointing.showCross();
  });
  surface.addEventListener('blur', () => {
    delete surface.dataset.focus;
    store.set({ cross: null });
  });
  listenToControls(app, commands, { asking, opening, everything, taking, actions });

  /** @param {import('./opening.js').Source} source */
  const open = async (source, kept) => {
    const isOpen = await opening.open(source, kept);
    if (isOpen && hasPrompts(store.get().story.present)) asking.refresh();
  };
  listenForFiles(root, (file) => open({ file }));
  store.subscribe((state, before) => render(app, actions, state, before));
  keepSession(app);
  root.rsDebug = () => debug(store.get());

  const about = await arrive(app);
  store.set({ about, checkpoint: about.checkpoint, hover: { on: about.hover, asked: false, note: '' } });
  showOffer(root, about, (name) => open({ example: name }));
  render(app, actions, store.get(), null);
  await openFirst(app, open);
}

/** Bring up to date what has changed; before is null when all has. */
function render(app, actions, state, before) {
  const { root } = app;
  const changed = (...names) => !before || names.some((name) => state[name] !== before[name]);
  root.dataset.state = panel.activity(state);
  root.classList.toggle('rs-replacing', Boolean(state.opening?.replaces));
  root.dataset.everything = String(state.everything?.masks.length ?? 0);
  app.surface.dataset.mode = state.everything ? 'everything' : state.mode;
  app.redraw();
  if (changed('answer', 'story', 'photo')) panel.showCandidates(root, state);
  if (changed('story', 'photo'))
    panel.showLayers(root, state, (id, what, value) => changeLayer(actions, id, what, value));
  if (changed('story', 'mode', 'hidden')) panel.showSteps(root, state);
  if (changed('hover')) panel.showHover(root, state);
  if (changed('everything', 'running', 'photo', 'opening')) panel.showEverything(root, state);
  if (changed('opening', 'running')) panel.showWaiting(root, state);
  if (changed('story', 'answer', 'photo')) panel.showTaking(root, state);
  if (changed('about', 'photo', 'decodeMs', 'clickMs')) panel.showFigures(root, state);
  if (changed('photo', 'opening', 'orphan', 'view')) panel.showPhoto(root, state);
  if (changed('checkpoint', 'about', 'opening')) panel.part(root, 'checkpoint').value = state.checkpoint;
}

function changeLayer(actions, id, what, value) {
  if (what === 'select') actions.selectLayer(id);
  if (what === 'visible') actions.toggleLayer(id);
  if (what === 'up') actions.moveLayer(id, -1);
  if (what === 'down') actions.moveLayer(id, 1);
  if (what === 'delete') actions.removeLayer(id);
  if (what === 'name') actions.renameLayer(id, value);
  if (what === 'try-colour') actions.tryColour(id, value);
  if (what === 'colour') actions.setColour(id, value);
}

function resized(store, size) {
  const { photo, view } = store.get();
  store.set({ stage: size, view: photo && view.fitted ? fit(photo, size) : view });
}

/** The server's card. Without it there is no page, so this never gives up. */
async function arrive({ wire, toast }) {
  for (;;) {
    try {
      return await wire.patiently('about', {});
    } catch {
      toast(UNREACHABLE);
      await sleep(5000);
    }
  }
}

/** What was open before the reload, or the first example. */
async function openFirst({ store, say }, open) {
  const kept = restore();
  const { about } = store.get();
  if (!kept) return about.examples.length ? open({ example: about.examples[0].name }) : undefined;
  const { photo, doc } = kept;
  const checkpoint = about.checkpoints.some(({ name }) => name === kept.checkpoint)
    ? kept.checkpoint
    : about.checkpoint;
  return open(
    { photo: photo.token, example: photo.example ?? undefined },
    {
      doc,
      checkpoint,
      onFail: (error) => {
        const isGone = error.kind === 'gone';
        store.set({ orphan: { photo, doc, isGone } });
        say(isGone ? 'The photo is no longer on the server.' : error.message);
      },
    },
  );
}

/** The page stays hidden until it has its style. */
function addStyle(root) {
  return new Promise((resolve) => {
    const show = () => {
      root.style.visibility = '';
      resolve(undefined);
    };
    const link = Object.assign(document.createElement('link'), {
      rel: 'stylesheet',
      href: new URL('page.css', import.meta.url).href,
    });
    link.addEventListener('load', show);
    link.addEventListener('error', show);
    document.head.append(link);
  });
}
