/**
 * Threads and offline use. WebAssembly has threads only in a page whose headers isolate it from other origins (COOP and
 * COEP). Where the host cannot send them, the service worker sw.js adds them, after the page was loaded once more.
 */

const TRIED = 'repvit-sam-isolation'; // in session storage: the page was loaded anew, once is enough

/** The cache of the page's small files; sw.js has the same name. (assets.js keeps the large ones.) */
const pageCache = () => `repvit-sam page ${new URL('.', location.href).pathname}`;

/** Resolves where the page can go on; loads it anew where that gives it threads. @returns {Promise<void>} */
export async function isolate() {
  if (!navigator.serviceWorker) return; // plain http, or switched off: one thread
  const registered = navigator.serviceWorker.register('sw.js').catch(() => null);
  if (crossOriginIsolated || sessionStorage.getItem(TRIED) || !(await registered)) return;
  await controlled();
  sessionStorage.setItem(TRIED, 'yes');
  location.reload();
  await new Promise(() => {}); // until then
}

/** Whether requests of this page go through the service worker. */
function controlled() {
  if (navigator.serviceWorker.controller) return undefined;
  return new Promise((resolve) => {
    navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true });
  });
}

/** The files that were loaded before the service worker was there. @param {string[]} paths */
export async function keepForOffline(paths) {
  if (!navigator.serviceWorker?.controller && !(await navigator.serviceWorker?.getRegistration())) return;
  const cache = await caches.open(pageCache());
  for (const path of paths) {
    if (!(await cache.match(path))) await cache.add(path).catch(() => {}); // no room, or the connection is lost
  }
}
