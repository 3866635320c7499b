/**
 * Service worker: adds the headers that isolate the page, and answers from its cache when there is no connection.
 * The large files (with ?v= in their address) are kept by assets.js.
 */

const CACHE = `repvit-sam page ${new URL('.', self.location.href).pathname}`;

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  const { origin, searchParams } = new URL(url);
  if (method !== 'GET' || origin !== self.location.origin || searchParams.has('v')) return;
  event.respondWith(respond(event.request));
});

/** The newest file, so that a site that was built again is seen at once; without a connection, the kept one. */
async function respond(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (!response.ok) return response;
    await cache.put(request, response.clone()).catch(() => {}); // no room: it works online all the same
    return isolated(response);
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (!kept) throw error;
    return isolated(kept);
  }
}

function isolated({ body, status, statusText, headers }) {
  const more = new Headers(headers);
  more.set('Cross-Origin-Opener-Policy', 'same-origin');
  more.set('Cross-Origin-Embedder-Policy', 'require-corp');
  return new Response(body, { status, statusText, headers: more });
}
