/** Buttons, sliders and dialogs beside the stage. */

import { part } from './panel.js';

/**
 * @param {HTMLElement} root
 * @param {Record<string, () => void>} commands  a button with the data-part of a command runs it
 * @param {{photos: ReturnType<typeof import('../net/photos.js').makePhotos>,
 *          previews: import('../net/preview.js').Previews,
 *          brush: ReturnType<typeof import('./brush.js').makeBrush>}} parts
 */
export function listenToControls(root, commands, { photos, previews, brush }) {
  // a click on a tool leaves the focus on the stage, so that keys go on working there; Tab still reaches the tool
  for (const area of root.querySelectorAll('.rs-tools, .rs-zoom, .rs-thumbs, .rs-strip-row, .rs-correct')) {
    area.addEventListener('mousedown', (event) => event.preventDefault());
  }
  for (const [name, run] of Object.entries(commands)) part(root, name)?.addEventListener('click', () => run());

  const hover = part(root, 'hover-switch');
  hover.addEventListener('change', () => previews.switchHover(hover.checked));

  const size = part(root, 'brush-size');
  size.addEventListener('input', () => brush.setSize(size.valueAsNumber));

  part(root, 'find-words').addEventListener('keydown', (event) => event.key === 'Enter' && commands['find-text']());

  const checkpoint = part(root, 'checkpoint');
  checkpoint.addEventListener('change', () => photos.changeCheckpoint(checkpoint.value));

  for (const slider of root.querySelectorAll('input[type=range]')) {
    const showValue = () => {
      slider.parentElement.querySelector('output').value = slider.step.includes('.')
        ? slider.valueAsNumber.toFixed(2)
        : slider.value;
    };
    slider.addEventListener('input', showValue);
    showValue();
  }
  listenToDialogs(root);
}

/** @param {HTMLElement} root @param {ReturnType<typeof import('../net/downloads.js').makeDownloads>} downloads */
export function listenToDownloads(root, { download, pythonSnippet }) {
  const [fullSize, feather] = [part(root, 'full-size'), part(root, 'feather')];
  for (const button of root.querySelectorAll('[data-download]')) {
    button.addEventListener('click', () =>
      download(button.dataset.download, { full_size: fullSize.checked, feather: feather.valueAsNumber }),
    );
  }
  const [dialog, text] = [part(root, 'code-dialog'), part(root, 'code-text')];
  const note = dialog.querySelector('.rs-copied');
  const copyText = async () => {
    note.textContent = (await copy(text)) ? 'Copied.' : 'Select it and copy.';
  };
  part(root, 'code-copy').addEventListener('click', copyText);
  part(root, 'code').addEventListener('click', async () => {
    const python = await pythonSnippet();
    if (python === null) return;
    text.value = python;
    note.textContent = '';
    dialog.showModal();
    await copyText();
    text.scrollTop = 0;
  });
}

/** To the clipboard; on plain http, where that is closed, in the old way. @returns {Promise<boolean>} */
async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.select();
    return document.execCommand('copy');
  }
}

function listenToDialogs(root) {
  // Gradio's own panel about the API; its button lies below this page
  const gradioApi = document.querySelector('footer .show-api');
  part(root, 'api').hidden = !gradioApi;
  part(root, 'api').addEventListener('click', () => {
    part(root, 'help-dialog').close();
    gradioApi.click();
  });
  for (const dialog of root.querySelectorAll('dialog')) {
    // a click beside a dialog closes it
    dialog.addEventListener('click', (event) => {
      if (event.target === dialog) dialog.close();
    });
  }
}

/**
 * What the server offers: examples, checkpoints, limits.
 * @param {HTMLElement} root @param {any} about @param {(name: string) => void} onExample
 */
export function showOffer(root, about, onExample) {
  const { examples, checkpoints, max_bytes: maxBytes, max_pixels: maxPixels, suffixes } = about;
  part(root, 'examples').replaceChildren(
    ...examples.map(({ name, title, thumb }) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', title: `Example: ${title}` });
      Object.assign(button.dataset, { part: `example-${name}`, name });
      button.append(Object.assign(new Image(), { src: thumb, alt: title, draggable: false }));
      button.addEventListener('click', () => onExample(name));
      return button;
    }),
  );
  part(root, 'checkpoint').replaceChildren(
    ...checkpoints.map(({ name, label, about: title }) => Object.assign(new Option(label, name), { title })),
  );
  root.querySelector('.rs-words').hidden = !about.text;
  part(root, 'file').accept = ['image/*', ...suffixes].join();
  root.querySelector('.rs-limits').textContent =
    `Up to ${Math.round(maxBytes / 2 ** 20)} MB and ${Math.round(maxPixels / 1e6)} megapixels: ${suffixes.join(' ')}`;
}
