/** The current object as a mask at photo size, which only the server can make; and as a layer. */

import { edit } from '../document/history.js';
import { nextLabel } from '../document/labels.js';
import { addLayer } from '../document/layers.js';
import { canAddLayers } from '../document/limits.js';
import { reportError, say } from '../document/messages.js';
import { clearPrompts, hasObjectPrompt, predictionKey } from '../document/prompts.js';
import { nextColour, pickedChain } from '../document/selectors.js';

/**
 * @param {import('../document/state.js').Store} store
 * @param {import('./session.js').Session} session
 */
export function makeKeep(store, session) {
  /** Null when there is none. @returns {Promise<import('../document/prompts.js').MaskObject | null>} */
  async function currentObject() {
    const { history, checkpoint } = store.get();
    if (!hasObjectPrompt(history.present)) return null;
    const chain = pickedChain(store.get());
    const kept = await session.call('keep', { checkpoint, chain });
    return { ...kept, checkpoint, chain, colour: nextColour(store.get()), ...nextLabel(store.get()) };
  }

  /** @type {Promise<void> | null} Enter pressed twice keeps once */
  let keeping = null;

  /** Make the current object a layer. */
  function keep() {
    keeping ??= keepOnce().finally(() => {
      keeping = null;
    });
    return keeping;
  }

  async function keepOnce() {
    const { photo, history } = store.get();
    if (!photo || !canAddLayers(store, 1)) return;
    const key = predictionKey(history.present.chain);
    try {
      const object = await currentObject();
      if (store.get().photo.id !== photo.id) return;
      if (!object) return void say(store, 'Nothing to keep yet: click an object first.');
      await store.get().shapes.load(object.mask);
      // clicks that came meanwhile belong to the next object
      const doc = addLayer(store.get().history.present, object);
      const isSame = predictionKey(doc.chain) === key;
      store.set(edit(store.get(), isSame ? clearPrompts(doc) : doc, { touched: null }));
      say(store, `${doc.layers[0].name} kept: ${object.area.toLocaleString('en')} pixels.`);
    } catch (error) {
      reportError(store, error);
    }
  }

  return { currentObject, keep, kept: () => keeping };
}
