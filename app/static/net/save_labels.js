/**
 * Saves the labels of the open photo after every change. What could not be saved is kept, also over a reload of the
 * page, and tried again until the server has it.
 *
 * @typedef {{revision: string, state: string, layers: {id: number, category: any, rle: any, annotation: any}[],
 *            unanswered: string[]}} Job
 *   layers: the lowest first; unanswered: names of changes that the server may have made although its answer was lost
 */

import { edit } from '../document/history.js';
import { changePhoto, hasSameLabels, historyOf } from '../document/labels.js';
import { notify, reportError } from '../document/messages.js';
import { newTicket, sleep } from './rpc.js';

const KEY = 'repvit-sam-unsaved';
const AGAIN_MS = 3000;
const MOST_UNANSWERED = 100;
const TRY_AGAIN = new Set(['lost', 'busy', 'unsaved']);

/**
 * @param {import('../document/state.js').Store} store
 * @param {import('./rpc.js').Rpc} rpc
 */
export function makeSaving(store, rpc) {
  /** @type {Map<string, Job>} by name of the photo */
  const waiting = new Map(loadUnsaved());
  /** @type {Map<string, {revision: string, annotationOf: Map<number, any>}>} what the server has of a photo; layer -> record */
  const known = new Map();
  let isWorking = false;
  let isSaid = false;

  store.subscribe(({ photo, history, folder }, before) => {
    const name = photo?.source.folderPhoto;
    if (!folder || !name || photo.id !== before.photo?.id) return;
    if (hasSameLabels(history.present, before.history.present)) return;
    const isDone = folder.photos.find((each) => each.name === name)?.state === 'done';
    save(name, history.present, isDone ? 'done' : 'in work');
  });

  /** @param {string} name @param {import('../document/prompts.js').Doc} doc @param {'in work' | 'done'} state */
  function save(name, doc, state) {
    const layers = doc.layers
      .map(({ id, category, rle }) => ({
        id,
        category,
        rle,
        annotation: known.get(name)?.annotationOf.get(id) ?? null,
      }))
      .reverse();
    const unanswered = waiting.get(name)?.unanswered ?? [];
    waiting.set(name, { revision: known.get(name)?.revision ?? '', state, layers, unanswered });
    keepUnsaved(waiting);
    list(name, { state, count: layers.length });
    work();
  }

  /** @param {string} name @param {object} change  of the list */
  function list(name, change) {
    const { folder } = store.get();
    const index = folder.photos.findIndex((photo) => photo.name === name);
    if (index >= 0) store.set({ folder: changePhoto(folder, index, change) });
  }

  const setSaving = (saving) => {
    const { folder } = store.get();
    if (folder && folder.saving !== saving) store.set({ folder: { ...folder, saving } });
  };

  async function work() {
    if (isWorking) return;
    isWorking = true;
    while (waiting.size) {
      const [[name, job]] = waiting;
      setSaving(store.get().folder?.saving === 'waiting' ? 'waiting' : 'saving');
      try {
        await send(name, job);
        if (waiting.get(name) === job) waiting.delete(name);
        isSaid = false;
        setSaving('saving');
      } catch (error) {
        if (TRY_AGAIN.has(error.kind)) await waitAndSay(error);
        else {
          if (waiting.get(name) === job) waiting.delete(name);
          reportError(store, error);
        }
      }
      keepUnsaved(waiting);
    }
    isWorking = false;
    setSaving('saved');
  }

  /** @param {string} name @param {Job} job */
  async function send(name, job) {
    const { revision, annotationOf } = known.get(name) ?? { revision: job.revision, annotationOf: new Map() };
    const layers = job.layers.map(({ id, annotation, ...layer }) => ({
      ...layer,
      annotation: annotationOf.get(id) ?? annotation,
    }));
    const change = newTicket();
    const { unanswered } = job;
    try {
      const labels = { name, state: job.state, layers };
      const sent = rpc.call('save_labels', { ...labels, revision, change, unanswered: [...unanswered] });
      // jobs that come meanwhile share the list
      unanswered.push(change);
      unanswered.splice(0, unanswered.length - MOST_UNANSWERED);
      keepUnsaved(waiting);
      const answer = await sent;
      unanswered.length = 0;
      for (const [index, { id }] of job.layers.entries()) annotationOf.set(id, answer.annotations[index]);
      known.set(name, { revision: answer.revision, annotationOf });
    } catch (error) {
      if (error.kind !== 'conflict') throw error;
      await join(name, job);
    }
  }

  async function waitAndSay(error) {
    setSaving('waiting');
    const why = error.kind === 'lost' ? 'the server cannot be reached' : error.message;
    if (!isSaid) notify(store, `Not saved yet: ${why}. Your changes are kept here and saved as soon as possible.`);
    isSaid = true;
    await sleep(AGAIN_MS);
  }

  /** Another window has changed the photo too: the objects of both are kept. @param {string} name @param {Job} job */
  async function join(name, job) {
    const { checkpoint } = store.get();
    const answer = await rpc.call('open_folder_photo', { name, checkpoint });
    const isTheirs = ({ category, rle }) =>
      answer.labels.layers.some((layer) => layer.category === category && layer.rle.counts === rle.counts);
    const own = job.layers.filter((layer) => !isTheirs(layer));
    const text = `${name} was changed in another window too. The objects of both are here now; delete what is double.`;
    const { photo, folder, history } = store.get();
    const theirs = historyOf(answer.labels.layers, folder.classes, checkpoint).present;
    learn(name, answer.labels);
    waiting.delete(name);
    notify(store, text);
    if (photo?.source.folderPhoto !== name) {
      const layers = answer.labels.layers.map(({ category, rle, annotation }, index) => {
        return { id: index + 1, category, rle, annotation };
      });
      const added = own.map((layer, index) => ({ ...layer, id: layers.length + index + 1, annotation: null }));
      const joined = { revision: answer.labels.revision, state: job.state, layers: [...layers, ...added] };
      waiting.set(name, { ...joined, unanswered: [] });
      return;
    }
    const ids = new Set(own.map(({ id }) => id));
    const shift = theirs.made;
    const mine = history.present.layers
      .filter(({ id }) => ids.has(id))
      .map((layer) => ({ ...layer, id: layer.id + shift }));
    const made = history.present.made + shift;
    const doc = { ...history.present, layers: [...mine, ...theirs.layers], made, selected: null };
    store.set(edit(store.get(), doc));
  }

  /** What the server has of a photo that was opened. @param {string} name @param {any} labels */
  function learn(name, { revision, layers }) {
    known.set(name, {
      revision,
      annotationOf: new Map(layers.map(({ annotation }, index) => [index + 1, annotation])),
    });
  }

  /** Whether the server has what this page knows of a photo, or less. @param {string} name @param {string} revision */
  const isNewest = (name, revision) => waiting.has(name) || known.get(name)?.revision === revision;

  return { save, learn, isNewest, saveUnsaved: work, isSaved: () => waiting.size === 0 };
}

/** @returns {[string, Job][]} */
function loadUnsaved() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? '[]');
  } catch {
    return [];
  }
}

/** @param {Map<string, Job>} waiting */
function keepUnsaved(waiting) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...waiting]));
  } catch {
    // no room; they are still in this page
  }
}
