/** Short messages that come and go over the stage. */

const SHOWN_MS = 7000;
const MOST = 3;

/** @param {HTMLElement} region  announced by screen readers @returns {(message: string) => void} */
export function makeToasts(region) {
  return (message) => {
    for (const old of region.children) if (old.firstChild.textContent === message) old.remove(); // said again: once is enough
    const toast = Object.assign(document.createElement('div'), { className: 'rs-toast' });
    toast.dataset.test = 'toast';
    const close = Object.assign(document.createElement('button'), { type: 'button', textContent: '\u00d7' });
    close.setAttribute('aria-label', 'Close the message');
    close.addEventListener('click', () => toast.remove());
    toast.append(Object.assign(document.createElement('span'), { textContent: message }), close);
    region.append(toast);
    while (region.children.length > MOST) region.firstChild.remove();
    setTimeout(() => toast.remove(), SHOWN_MS);
  };
}
