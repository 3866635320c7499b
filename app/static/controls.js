/** Buttons, sliders, dialogs: what is clicked beside the stage. */

import { part } from './panel.js';
import { copy } from './taking.js';

/**
 * @param {import('./state.js').App} app
 * @param {Record<string, (...args: any[]) => void>} commands  by the name that keys have for them too
 * @param {{asking: any, opening: any, everything: any, taking: any, actions: any}} parts
 */
export function listenToControls(app, commands, { asking, opening, everything, taking, actions }) {
  const { root } = app;
  const onClick = (name, act) => part(root, name).addEventListener('click', act);

  // a click on a tool leaves the focus on the stage, so that keys go on working there; Tab still reaches the tool
  for (const area of root.querySelectorAll('.rs-tools, .rs-zoom, .rs-thumbs')) {
    area.addEventListener('mousedown', (event) => event.preventDefault());
  }

  for (const name of [
    'undo',
    'redo',
    'delete',
    'clear',
    'keep',
    'zoom-in',
    'zoom-out',
    'zoom-fit',
    'hide',
    'everything-run',
    'help',
  ]) {
    onClick(name, () => commands[name]());
  }
  for (const index of [0, 1, 2]) onClick(`thumb-${index}`, () => actions.choose(index));
  for (const button of root.querySelectorAll('[data-mode]')) {
    button.addEventListener('click', () => commands.mode(button.dataset.mode));
  }

  const hover = part(root, 'hover-switch');
  hover.addEventListener('change', () => asking.switchHover(hover.checked));

  const checkpoint = part(root, 'checkpoint');
  checkpoint.addEventListener('change', async () => {
    await opening.change(checkpoint.value);
    asking.refresh();
  });

  onClick('everything-cancel', everything.cancel);
  onClick('everything-dismiss', everything.dismiss);
  onClick('everything-all', everything.takeAll);

  const [fullSize, feather] = [part(root, 'full-size'), part(root, 'feather')];
  for (const button of root.querySelectorAll('[data-take]')) {
    button.addEventListener('click', () =>
      taking.take(button.dataset.take, { full_size: fullSize.checked, feather: feather.valueAsNumber }),
    );
  }
  for (const slider of root.querySelectorAll('input[type=range]')) {
    const tell = () => {
      slider.parentElement.querySelector('output').value = slider.step.includes('.')
        ? slider.valueAsNumber.toFixed(2)
        : slider.value;
    };
    slider.addEventListener('input', tell);
    tell();
  }

  const [dialog, text] = [part(root, 'code-dialog'), part(root, 'code-text')];
  const told = dialog.querySelector('.rs-copied');
  const copyCode = async () => {
    told.textContent = (await copy(text.value, text)) ? 'Copied.' : 'Select it and copy.';
  };
  onClick('code-copy', copyCode);
  onClick('code', async () => {
    const python = await taking.code();
    if (python === null) return;
    text.value = python;
    told.textContent = '';
    dialog.showModal();
    await copyCode();
    text.scrollTop = 0;
  });

  // Gradio's own panel; its button lies below this page
  const gradioApi = document.querySelector('footer .show-api');
  part(root, 'api').hidden = !gradioApi;
  onClick('api', () => {
    part(root, 'help-dialog').close();
    gradioApi.click();
  });

  for (const each of root.querySelectorAll('dialog')) {
    // a click beside a dialog closes it
    each.addEventListener('click', (event) => {
      if (event.target === each) each.close();
    });
  }
}

/** What the server offers: examples, checkpoints, limits. */
export function showOffer(
  root,
  { examples, checkpoints, max_bytes: maxBytes, max_pixels: maxPixels, suffixes },
  onExample,
) {
  part(root, 'examples').replaceChildren(
    ...examples.map(({ name, title, thumb }) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', title: `Example: ${title}` });
      Object.assign(button.dataset, { test: `example-${name}`, name });
      button.append(Object.assign(new Image(), { src: thumb, alt: title, draggable: false }));
      button.addEventListener('click', () => onExample(name));
      return button;
    }),
  );
  part(root, 'checkpoint').replaceChildren(...checkpoints.map(({ name, label }) => new Option(label, name)));
  part(root, 'file').accept = ['image/*', ...suffixes].join();
  root.querySelector('.rs-limits').textContent =
    `Up to ${Math.round(maxBytes / 2 ** 20)} MB and ${Math.round(maxPixels / 1e6)} megapixels: ${suffixes.join(' ')}`;
}
