/**
 * What a person does to the document. Each action is a pure change of the document, put into the store; the mask
 * follows from it, see net/predict.js.
 */

import { amend, edit, previewColour, redo, settleColour, travel, undo } from '../document/history.js';
import { labelOf } from '../document/labels.js';
import { changeLayer, layerById, moveLayer, removeLayer, toggleSelected } from '../document/layers.js';
import { canAddPoint } from '../document/limits.js';
import { say } from '../document/messages.js';
import * as prompts from '../document/prompts.js';
import { describeMask, isPredicted, isRefined, refinedIndex } from '../document/selectors.js';

/**
 * @typedef {import('../document/prompts.js').Spot} Spot
 * @typedef {import('../document/prompts.js').Target} Target
 * @param {import('../document/state.js').Store} store
 */
export function makeActions(store) {
  const doc = () => store.get().history.present;

  /** @param {prompts.Doc} next @param {{since?: number, touched?: Target | null}} [how] */
  const step = (next, how) => store.set(edit(store.get(), next, how));

  /** @param {Spot} at  photo pixels @param {boolean} isBackground @param {number} since  event.timeStamp */
  function addPoint(at, isBackground, since) {
    if (!canAddPoint(store)) return;
    const { photo, about } = store.get();
    const point = prompts.pointAt(at, isBackground, photo);
    const next = prompts.addPoint(doc(), point, refinedIndex(store.get()), about.limits.steps);
    step(next, { since, touched: { kind: 'point', index: prompts.currentPrompts(next).points.length - 1 } });
  }

  /** @param {Spot} a @param {Spot} b  opposite corners, photo pixels @param {number} since */
  const setBox = (a, b, since) =>
    step(prompts.setBox(doc(), prompts.boxBetween(a, b, store.get().photo)), { since, touched: { kind: 'box' } });

  /** @param {Target} target @param {Spot} from @param {Spot} to @param {number} since */
  const moveTarget = (target, from, to, since) =>
    step(prompts.moveTarget(doc(), target, from, to, store.get().photo), { since, touched: target });

  /** Delete the prompt that was used last; without prompts, the selected layer. */
  function remove() {
    const { points, box } = prompts.currentPrompts(doc());
    const { touched } = store.get();
    if (!prompts.hasPrompts(doc())) {
      if (doc().selected !== null) deleteLayer(doc().selected);
      return;
    }
    /** @type {Target} */
    const last = points.length ? { kind: 'point', index: points.length - 1 } : { kind: 'box' };
    const exists = touched && (touched.kind === 'point' ? touched.index < points.length : box);
    step(prompts.removeTarget(doc(), exists ? touched : last), { touched: null });
    if (!prompts.hasPrompts(doc())) say(store, 'No prompts left.');
  }

  function clear() {
    if (!prompts.hasPrompts(doc())) return;
    step(prompts.clearPrompts(doc()), { touched: null });
    say(store, 'Prompts cleared.');
  }

  /** Choose a candidate. @param {number} index */
  function choose(index) {
    if (!isPredicted(store.get()) || !store.get().prediction.candidates[index]) return;
    step({ ...doc(), chain: prompts.withPick(doc().chain, index) });
    say(store, describeMask(store.get()));
  }

  /** A second look at the candidate on the screen. */
  function refine() {
    const index = refinedIndex(store.get());
    if (index === null) return void say(store, 'Nothing to refine yet: click an object first.');
    if (isRefined(store.get())) return void say(store, 'This mask is refined already.');
    step({ ...doc(), chain: prompts.withRefined(doc().chain, index) });
    say(store, 'Refining: looking at the object again, enlarged.');
  }

  function goTo(move, nothing, done) {
    const change = travel(store.get(), move);
    const isMoved = change.history.present !== doc();
    say(store, isMoved ? done : nothing);
    if (isMoved) store.set(change);
  }

  function deleteLayer(id) {
    const { name } = layerById(doc(), id);
    step(removeLayer(doc(), id));
    say(store, `${name} deleted.`);
  }

  const setLayer = (id, change) => step(changeLayer(doc(), id, change));

  function renameLayer(id, name) {
    if (name && name !== layerById(doc(), id)?.name) setLayer(id, { name });
    else store.set(amend(store.get(), doc())); // an empty name: the panel shows the old one again
  }

  /** For the selected layer, or else for the next object. @param {import('../document/labels.js').LabelClass} chosen */
  function chooseClass(chosen) {
    const { folder } = store.get();
    const layer = prompts.hasPrompts(doc()) ? undefined : layerById(doc(), doc().selected);
    store.set({ folder: { ...folder, active: chosen.id } });
    if (layer && layer.category !== chosen.id) setLayer(layer.id, labelOf(chosen));
    say(store, layer ? `The selected layer is ${chosen.name}.` : `The next object is ${chosen.name}.`);
  }

  function setColour(id, colour) {
    store.set(previewColour(store.get(), id, colour));
    store.set(settleColour(store.get()));
  }

  return {
    addPoint,
    setBox,
    moveTarget,
    remove,
    clear,
    choose,
    refine,
    undo: () => goTo(undo, 'Nothing to undo.', 'Undone.'),
    redo: () => goTo(redo, 'Nothing to redo.', 'Done again.'),
    deleteLayer,
    toggleLayer: (id) => setLayer(id, { visible: !layerById(doc(), id).visible }),
    renameLayer,
    chooseClass,
    setClass: (id, chosen) => setLayer(id, labelOf(chosen)),
    moveLayer: (id, by) => step(moveLayer(doc(), id, by)),
    selectLayer: (id) => store.set(amend(store.get(), toggleSelected(doc(), id))), // not a step: nothing was made
    previewColour: (id, colour) => store.set(previewColour(store.get(), id, colour)),
    setColour,
  };
}
