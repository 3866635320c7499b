/** The large files, model and runtime: downloaded with progress, kept by the browser for the next visit. */

import { Refusal } from './refusal.js';

const cacheName = () => `repvit-sam model ${new URL('.', location.href).pathname}`;

/**
 * @typedef {ReturnType<typeof makeAssets>} Assets
 * @param {Record<string, {bytes: number, sha256: string}>} files  by path
 * @param {(progress: {text: string, received: number, total: number}) => void} report
 */
export function makeAssets(files, report) {
  const addressOf = (path) => `${path}?v=${files[path].sha256}`; // another file has another address

  /** @param {string[]} paths @returns {Promise<Uint8Array[]>} */
  async function load(paths) {
    const cache = await openCache();
    const kept = await Promise.all(paths.map((path) => cache?.match(addressOf(path))));
    const missing = paths.filter((_, index) => !kept[index]);
    const total = missing.reduce((sum, path) => sum + files[path].bytes, 0);
    let received = 0;
    const others = new AbortController();
    const onBytes = (count) => {
      received += count;
      report({ text: 'Downloading the model', received: Math.min(received, total), total });
    };
    return Promise.all(
      paths.map(async (path, index) => {
        if (kept[index]) return new Uint8Array(await kept[index].arrayBuffer());
        const { bytes } = files[path];
        const data = await download(path, addressOf(path), bytes, onBytes, others.signal).catch((error) => {
          others.abort(); // all are needed
          throw error;
        });
        await cache?.put(addressOf(path), new Response(data)).catch(() => {}); // no room: the next visit loads it again
        return data;
      }),
    );
  }

  /** Remove what an older build of the site has kept. */
  async function removeOld() {
    const cache = await openCache();
    const current = new Set(Object.keys(files).map((path) => new URL(addressOf(path), location.href).href));
    for (const request of (await cache?.keys()) ?? []) if (!current.has(request.url)) await cache.delete(request);
  }

  return { load, removeOld };
}

/** Null on plain http, and where the browser does not allow it. @returns {Promise<Cache | null>} */
const openCache = async () => ('caches' in self ? caches.open(cacheName()).catch(() => null) : null);

async function download(path, address, bytes, onBytes, signal) {
  const response = await fetch(address, { signal }).catch(() => null);
  if (!response?.ok) {
    const why = response ? `the host answers ${response.status}` : 'there is no connection to the host';
    throw new Refusal('bad', `The model cannot be loaded: ${path} is missing, ${why}. Load the page again later.`);
  }
  const data = new Uint8Array(bytes);
  let at = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
    if (done || at + value.length > bytes) break;
    data.set(value, at);
    at += value.length;
    onBytes(value.length);
  }
  if (at === bytes) return data;
  throw new Refusal('bad', `The model cannot be loaded: of ${path} came ${at} bytes of ${bytes}. Load the page again.`);
}
