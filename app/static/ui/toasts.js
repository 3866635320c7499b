/** Short messages over the stage, which go away after some seconds. */

const SHOWN_MS = 7000;
const MOST = 3;

/** @param {HTMLElement} region  announced by screen readers @param {import('../document/state.js').Store} store */
export function showNotices(region, store) {
  store.subscribe(({ notice }, before) => {
    if (notice !== before.notice) showToast(region, notice.text);
  });
}

function showToast(region, text) {
  for (const old of region.children) if (old.firstChild.textContent === text) old.remove(); // the same, once
  const toast = Object.assign(document.createElement('div'), { className: 'rs-toast' });
  const close = Object.assign(document.createElement('button'), { type: 'button', textContent: '\u00d7' });
  close.setAttribute('aria-label', 'Close the message');
  close.addEventListener('click', () => toast.remove());
  toast.append(Object.assign(document.createElement('span'), { textContent: text }), close);
  region.append(toast);
  while (region.children.length > MOST) region.firstChild.remove();
  setTimeout(() => toast.remove(), SHOWN_MS);
}
