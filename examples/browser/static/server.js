/** The functions that page/ calls on its server, answered by a worker with the JSON of app/handlers.py. */

const ANSWERED_BY_WORKER = ['about', 'open', 'open_example', 'resume', 'predict', 'hover', 'keep', 'download'];
const refusal = (message) => ({ error: { kind: 'bad', message } });

/**
 * @param {URL} workerUrl
 * @param {{showProgress: (progress: object) => void, showFailure: (sentence: string) => void}} screen  while the model
 *   is loaded; after a failure no function is answered
 * @returns {Record<string, (args?: object) => Promise<any>>}
 */
export function makeServer(workerUrl, { showProgress, showFailure }) {
  const worker = new Worker(workerUrl, { type: 'module' });
  /** @type {Map<number, (answer: object) => void>} */
  const waiting = new Map();
  let asked = 0;

  worker.addEventListener('message', ({ data: { id, answer, progress, failure } }) => {
    if (progress) showProgress(progress);
    if (failure) showFailure(failure);
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  worker.addEventListener('error', ({ message }) => {
    showFailure(`The page's worker stopped (${message ?? 'it could not be loaded'}); load the page again.`);
  });

  const ask = (name) => (args) =>
    new Promise((resolve) => {
      asked += 1;
      waiting.set(asked, resolve);
      worker.postMessage({ id: asked, name, args });
    });

  return {
    ...Object.fromEntries(ANSWERED_BY_WORKER.map((name) => [name, ask(name)])),
    // answered here: the worker is busy while it computes
    progress: async () => ({ state: 'working', ahead: 0, share: null }),
    cancel: async () => ({}),
    everything: async () => refusal('Everything mode needs the page with a server: repvit-sam demo.'),
    edit_mask: async () => refusal('Correcting masks by hand needs the page with a server: repvit-sam demo.'),
    outline: async () => refusal('Outlines need the page with a server: repvit-sam demo.'),
    python_snippet: async () => refusal('The Python program needs the page with a server: repvit-sam demo.'),
  };
}
