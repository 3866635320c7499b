/** Photos that the person gives: chosen, dropped anywhere, pasted, taken with the camera. */

import { part } from './panel.js';

/** @param {HTMLElement} root @param {(file: File) => void} open */
export function listenToFiles(root, open) {
  for (const name of ['file', 'camera']) {
    const input = part(root, name);
    input.addEventListener('change', () => {
      if (input.files[0]) open(input.files[0]);
      input.value = ''; // the same file may be chosen again
    });
  }

  document.addEventListener('paste', (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    open(file);
  });

  const veil = root.querySelector('.rs-drop');
  const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
  document.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // or the browser leaves the page for the photo
    event.dataTransfer.dropEffect = 'copy';
    veil.hidden = false;
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) veil.hidden = true; // out of the window
  });
  document.addEventListener('drop', (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    const file = files.find(({ type }) => type.startsWith('image/')) ?? files[0]; // HEIC comes without a type
    if (file) open(file);
  });
}
