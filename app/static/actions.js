/** What a person does to the document. Every step can be undone; every step brings the mask up to date. */

import { isAnswered, seenIndex, shownIndex } from './asking.js';
import * as history from './history.js';
import * as layers from './layers.js';
import * as story from './story.js';

/**
 * @param {import('./state.js').App} app
 * @param {(since?: number) => void} refresh  asks for the mask of the prompts there are now
 */
export function makeActions(app, refresh) {
  const { store } = app;
  const doc = () => store.get().story.present;

  const limits = () => store.get().about.limits;

  /** @param {story.Doc} next @param {{since?: number, touched?: story.Target | null}} [how] */
  function step(next, { since, touched = store.get().touched } = {}) {
    settleColour();
    store.set({ story: history.commit(store.get().story, next), touched, draft: null, hidden: false });
    refresh(since);
  }

  function addPoint(at, isBackground, since) {
    const most = limits();
    if (story.prompts(doc()).points.length >= most.points)
      return app.toast(`A mask takes ${most.points} points. Delete one, or keep the object and start another.`);
    const point = story.pointAt(at, isBackground, store.get().photo);
    const next = story.addPoint(doc(), point, seenIndex(store.get()), most.steps);
    return step(next, { since, touched: { kind: 'point', index: story.prompts(next).points.length - 1 } });
  }

  const addBox = (a, b, since) =>
    step(story.setBox(doc(), story.boxBetween(a, b, store.get().photo)), { since, touched: { kind: 'box' } });

  const moveTarget = (target, from, to, since) =>
    step(story.moveTarget(doc(), target, from, to, store.get().photo), { since, touched: target });

  /** The prompt that was touched last; without prompts, the layer that is selected. */
  function remove() {
    const { points, box } = story.prompts(doc());
    const { touched } = store.get();
    if (!story.hasPrompts(doc())) {
      if (doc().selected !== null) removeLayer(doc().selected);
      return;
    }
    /** @type {story.Target} */
    const last = { kind: 'point', index: points.length - 1 };
    const isThere = touched && (touched.kind === 'point' ? touched.index < points.length : box);
    const target = isThere ? touched : points.length ? last : { kind: 'box' };
    step(story.removeTarget(doc(), target), { touched: null });
    if (!story.hasPrompts(doc())) app.say('No prompts left.');
  }

  function clear() {
    if (!story.hasPrompts(doc())) return;
    step(story.clearPrompts(doc()), { touched: null });
    app.say('Prompts cleared.');
  }

  function choose(index) {
    if (!isAnswered(store.get()) || !store.get().answer.candidates[index]) return;
    step(story.choose(doc(), index));
    app.sayMask();
  }

  function undo() {
    settleColour();
    travel(history.undo(store.get().story), 'Nothing to undo.', 'Undone.');
  }

  function redo() {
    settleColour();
    travel(history.redo(store.get().story), 'Nothing to redo.', 'Done again.');
  }

  function travel(next, nothing, done) {
    const { story: now } = store.get();
    if (next.present === now.present) return app.say(nothing);
    store.set({ story: next, touched: null, draft: null });
    app.say(done);
    refresh();
    return undefined;
  }

  /** The chain with the pick that is on the screen, so that "best" can not come out differently. */
  function chainNow() {
    const state = store.get();
    const { chain } = doc();
    if (!isAnswered(state) || shownIndex(state) === null) return chain;
    return [...chain.slice(0, -1), { ...chain.at(-1), pick: shownIndex(state) }];
  }

  /** The object in work at photo size, from the server; null when there is none. */
  async function currentObject() {
    if (!story.hasObject(doc())) return null;
    const chain = chainNow();
    const { checkpoint, about } = store.get();
    const kept = await app.ask('keep', { checkpoint, chain });
    return { ...kept, checkpoint, chain, colour: layers.freeColour(doc().layers, about.colours) };
  }

  let isKeeping = false; // Enter pressed twice keeps once

  async function keep() {
    if (isKeeping || !store.get().photo || !hasRoom(1)) return;
    isKeeping = true;
    const question = story.questionOf(doc().chain);
    const { photo } = store.get();
    try {
      const object = await currentObject();
      if (store.get().photo.id !== photo.id) return;
      if (!object) return void app.say('Nothing to keep yet: click an object first.');
      await store.get().shapes.load(object.mask);
      // clicks that came meanwhile belong to the next object
      const isSame = story.questionOf(doc().chain) === question;
      const added = layers.addLayer(doc(), object);
      step(isSame ? story.clearPrompts(added) : added, { touched: null });
      app.say(`${added.layers[0].name} kept: ${object.area.toLocaleString('en')} pixels.`);
    } catch (error) {
      app.fail(error);
    } finally {
      isKeeping = false;
    }
  }

  /** Whether so many layers more fit; says so where they do not. @param {number} more */
  function hasRoom(more) {
    const room = limits().layers - doc().layers.length;
    if (more > room) app.toast(`A photo holds ${limits().layers} layers; there is room for ${room} more.`);
    return more <= room;
  }

  /** @param {object[]} objects  the last one comes to lie on top */
  function addLayers(objects) {
    step(objects.reduce((next, object) => layers.addLayer(next, object), doc()));
  }

  function removeLayer(id) {
    const { name } = layerOf(id);
    step(layers.removeLayer(doc(), id));
    app.say(`${name} deleted.`);
  }

  const layerOf = (id) => doc().layers.find((layer) => layer.id === id);

  const changeLayer = (id, change) => step(layers.changeLayer(doc(), id, change));

  const toggleLayer = (id) => changeLayer(id, { visible: !layerOf(id).visible });

  function renameLayer(id, name) {
    if (name && name !== layerOf(id)?.name) changeLayer(id, { name });
    else store.set({ story: { ...store.get().story } }); // an empty name: show the old one again
  }

  const moveLayer = (id, by) => step(layers.moveLayer(doc(), id, by));

  // looking at another layer is no step: undo is for what was made
  const selectLayer = (id) => store.set({ story: history.amend(store.get().story, layers.selectLayer(doc(), id)) });

  /** @type {{photo: string, id: number, colour: string} | null} a colour is being chosen; this is the old one */
  let recolouring = null;

  /** A colour shows while it is being chosen ... */
  function tryColour(id, colour) {
    if (recolouring && recolouring.id !== id) settleColour();
    const layer = layerOf(id);
    if (!layer) return;
    recolouring ??= { photo: store.get().photo.id, id, colour: layer.colour };
    store.set({ story: history.amend(store.get().story, layers.changeLayer(doc(), id, { colour })) });
  }

  function setColour(id, colour) {
    tryColour(id, colour);
    settleColour();
  }

  /** ... and becomes one step when it is, or when something else is done meanwhile. */
  function settleColour() {
    if (!recolouring) return;
    const { photo, id, colour } = recolouring;
    recolouring = null;
    const now = layerOf(id);
    if (store.get().photo.id !== photo || !now || now.colour === colour) return;
    const before = history.amend(store.get().story, layers.changeLayer(doc(), id, { colour }));
    store.set({ story: history.commit(before, doc()) });
  }

  return {
    addPoint,
    addBox,
    moveTarget,
    remove,
    clear,
    choose,
    undo,
    redo,
    keep,
    currentObject,
    hasRoom,
    addLayers,
    removeLayer,
    toggleLayer,
    renameLayer,
    moveLayer,
    selectLayer,
    tryColour,
    setColour,
  };
}
