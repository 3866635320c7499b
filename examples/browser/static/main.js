/**
 * The page without a server: page/ (app/static) is started with functions that a worker answers in this browser.
 *
 * main.js      this; isolation.js and sw.js give it threads and let it work offline
 * server.js    the functions that the page calls -> messages to the worker
 * worker.js    messages -> engine.js (onnxruntime-web), photos.js, candidates.js, masks.js, downloads.js
 */

import { isolate, keepForOffline } from './isolation.js';
import { makeServer } from './server.js';

const MB = 1e6;
const WITHOUT_SERVER = ['R', 'A']; // keys of what this page does not have: refine, everything
const LOCAL = 'Computed in this browser: the photo does not leave this device.';

await isolate(); // before anything large is loaded: it may load the page anew
const { start } = await import('./page/main.js');

const element = document.getElementById('repvit-sam');
const root = element.querySelector('.rs');
followColourScheme();
leaveOut();
const server = makeServer(new URL(`worker.js${location.search}`, import.meta.url), { showProgress, showFailure });
server.about().then((about) => {
  root.querySelector('.rs-wait').hidden = true;
  keepForOffline(about.page_files);
});
await start(element, server);

/** Light or dark as the system is; the page's styles follow this class. */
function followColourScheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => document.documentElement.classList.toggle('dark', dark.matches);
  dark.addEventListener('change', follow);
  follow();
}

/** Keys and help of what needs a server; site.css hides the buttons. */
function leaveOut() {
  for (const term of root.querySelectorAll('.rs-keys dt')) {
    if (!WITHOUT_SERVER.includes(term.textContent)) continue;
    term.nextElementSibling.remove();
    term.remove();
  }
  const keepFromPage = (event) => {
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (isPlain && WITHOUT_SERVER.includes(event.key.toUpperCase())) event.stopPropagation();
  };
  window.addEventListener('keydown', keepFromPage, { capture: true });
  const note = Object.assign(document.createElement('p'), { className: 'rs-note rs-local', textContent: LOCAL });
  root.querySelector('.rs-panel').append(note);
}

/** On the stage, until the model is there. @param {{text: string, received: number, total: number}} progress */
function showProgress({ text, received, total }) {
  const bar = root.querySelector('.rs-bar');
  const percent = Math.round((100 * received) / total);
  const size = `${(received / MB).toFixed(1)} of ${(total / MB).toFixed(1)} MB`;
  root.querySelector('.rs-wait').hidden = false;
  root.querySelector('.rs-empty').hidden = true;
  root.querySelector('.rs-wait-text').textContent = received < total ? `${text}: ${size}` : `${text}\u2026`;
  bar.dataset.kind = received < total ? 'share' : 'unknown';
  bar.style.setProperty('--rs-share', `${percent}%`);
  bar.setAttribute('aria-valuenow', String(percent));
}

/** Without a model there is nothing to do. @param {string} sentence */
function showFailure(sentence) {
  root.querySelector('.rs-wait').hidden = true;
  const empty = root.querySelector('.rs-empty');
  empty.hidden = false;
  empty.querySelector('p').textContent = sentence;
  root.querySelector('[data-part="status"]').textContent = sentence;
  root.dataset.state = 'failed';
}
