/**
 * Saves the labels of the open photo after every change. What could not be saved is kept, also over a reload of the
 * page, and tried again until the server has it.
 *
 * @typedef {{revision: string, state: string, layers: {id: number, category: any, rle: any, annotation: any}[],
 *            unanswered: string[], refused?: boolean}} Job
 *   layers: the lowest first; unanswered: names of changes that the server may have made although its answer was lost;
 *   refused: it waits for the next change of the photo
 */

import { newHistory } from '../document/history.js';
import { changePhoto, hasSameLabels, historyOf } from '../document/labels.js';
import { notify } from '../document/messages.js';
import { newTicket, sleep } from './rpc.js';

const KEY = 'repvit-sam-unsaved'; // and the identity of the folder
const AGAIN_MS = 3000;
const MOST_UNANSWERED = 100;
const TRY_AGAIN = new Set(['lost', 'busy', 'unsaved']);

/**
 * @param {import('../document/state.js').Store} store
 * @param {import('./rpc.js').Rpc} rpc
 */
export function makeSaving(store, rpc) {
  /** @type {Map<string, Job>} by name of the photo */
  let waiting = new Map();
  /** @type {Map<string, import('../document/history.js').History>} of photos that were open, for undo */
  const histories = new Map();
  let key = KEY;
  /** @type {Map<string, {revision: string, annotationOf: Map<number, any>}>} what the server has of a photo; layer -> record */
  const known = new Map();
  let isWorking = false;
  let isSaid = false;

  store.subscribe(({ photo, history, folder }, before) => {
    const name = photo?.source.folderPhoto;
    const left = before.photo?.source.folderPhoto;
    if (left && photo?.id !== before.photo.id) histories.set(left, before.history);
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
    keepUnsaved();
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
    const next = () => [...waiting].find(([, job]) => !job.refused);
    for (let entry = next(); entry; entry = next()) {
      const [name, job] = entry;
      setSaving(store.get().folder?.saving === 'waiting' ? 'waiting' : 'saving');
      try {
        await send(name, job);
        if (waiting.get(name) === job) waiting.delete(name);
        isSaid = false;
        setSaving('saving');
      } catch (error) {
        if (TRY_AGAIN.has(error.kind)) {
          putLast(name);
          await waitAndSay(error);
        } else {
          job.refused = true; // kept, and sent again with the next change
          notify(store, `${name} is not saved: ${error.message}`);
        }
      }
      keepUnsaved();
    }
    isWorking = false;
    setSaving(waiting.size ? 'refused' : 'saved');
  }

  /** One photo that cannot be saved must not hold up the others. @param {string} name */
  function putLast(name) {
    const job = waiting.get(name);
    waiting.delete(name);
    waiting.set(name, job);
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
      const labels = { folder: store.get().folder?.identity ?? '', name, state: job.state, layers };
      const sent = rpc.call('save_labels', { ...labels, revision, change, unanswered: [...unanswered] });
      // jobs that come meanwhile share the list
      unanswered.push(change);
      unanswered.splice(0, unanswered.length - MOST_UNANSWERED);
      keepUnsaved();
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
    const { labels } = await rpc.call('open_folder_photo', { name, checkpoint });
    const isTheirs = ({ category, rle }) =>
      labels.layers.some((layer) => layer.category === category && layer.rle.counts === rle.counts);
    notify(
      store,
      `${name} was changed in another window too. The objects of both are here now; delete what is double.`,
    );
    histories.delete(name); // its steps know nothing of the other's objects
    learn(name, labels);
    const { photo, folder, history } = store.get();
    if (photo?.source.folderPhoto === name) {
      const theirs = historyOf(labels.layers, folder.classes, checkpoint).present;
      const mine = history.present.layers
        .filter((layer) => !isTheirs(layer))
        .map((layer) => ({ ...layer, id: layer.id + theirs.made }));
      const made = history.present.made + theirs.made;
      const doc = { ...history.present, layers: [...mine, ...theirs.layers], made, selected: null };
      waiting.delete(name);
      store.set({ history: newHistory(doc) }); // which saves it
      return;
    }
    const newest = waiting.get(name) ?? job;
    const theirs = labels.layers.map(({ category, rle, annotation }, index) => {
      return { id: index + 1, category, rle, annotation };
    });
    const own = newest.layers
      .filter((layer) => !isTheirs(layer))
      .map((layer, index) => ({ ...layer, id: theirs.length + index + 1, annotation: null }));
    const joined = { revision: labels.revision, state: newest.state, layers: [...theirs, ...own] };
    waiting.set(name, { ...joined, unanswered: [] });
  }

  /** What the server has of a photo that was opened. @param {string} name @param {any} labels */
  function learn(name, { revision, layers }) {
    known.set(name, {
      revision,
      annotationOf: new Map(layers.map(({ annotation }, index) => [index + 1, annotation])),
    });
  }

  /** The history of a photo that was open before, if it is still that of what the server has. @param {string} name */
  function historyBefore(name, revision) {
    const isNewest = waiting.has(name) || known.get(name)?.revision === revision;
    return isNewest ? (histories.get(name) ?? null) : null;
  }

  /** Save what was not saved before a reload. @param {string} identity  of the folder */
  function start(identity) {
    key = `${KEY} ${identity}`;
    waiting = new Map(loadUnsaved(key));
    for (const job of waiting.values()) job.refused = false;
    return work();
  }

  function keepUnsaved() {
    try {
      sessionStorage.setItem(key, JSON.stringify([...waiting]));
    } catch {
      // no room; they are still in this page
    }
  }

  return {
    save,
    learn,
    historyBefore,
    start,
    isSaved: () => waiting.size === 0,
    /** State and count of a photo as this page knows them, while the server does not. @param {string} name */
    unsaved: (name) => waiting.has(name) && { state: waiting.get(name).state, count: waiting.get(name).layers.length },
    /** Whether a photo has changes of before a reload, which this page cannot show yet. @param {string} name */
    isUnseen: (name) => waiting.has(name) && !known.has(name),
  };
}

/** @param {string} key @returns {[string, Job][]} */
function loadUnsaved(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? '[]');
  } catch {
    return [];
  }
}
