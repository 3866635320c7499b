/** The list of classes: which one the next object gets, new ones, other names and colours. */

import { part } from './panel.js';

/**
 * @param {HTMLElement} root
 * @param {import('../document/state.js').Store} store
 * @param {import('../net/folder.js').FolderCalls} folder
 * @param {(chosen: import('../document/labels.js').LabelClass) => void} choose
 */
export function showClasses(root, store, folder, choose) {
  const list = part(root, 'classes');
  const field = part(root, 'class-new');
  store.subscribe(({ folder: now }, before) => {
    if (!now || (now.classes === before.folder?.classes && now.active === before.folder?.active)) return;
    if (now.classes !== before.folder?.classes) {
      list.replaceChildren(...now.classes.map((each, index) => newRow(each, index)));
    }
    for (const row of list.children) {
      part(row, 'class-choose').setAttribute('aria-pressed', String(row.dataset.id === String(now.active)));
    }
  });

  /** @param {import('../document/labels.js').LabelClass} labelClass @param {number} index */
  function newRow(labelClass, index) {
    const { id, name, colour } = labelClass;
    const row = root.querySelector('.rs-class-template').content.firstElementChild.cloneNode(true);
    row.dataset.id = String(id);
    const [chooser, text, picker, remove] = ['choose', 'name', 'colour', 'remove'].map((key) =>
      part(row, `class-${key}`),
    );
    chooser.textContent = index < 9 ? String(index + 1) : '\u00b7';
    chooser.style.setProperty('--rs-class', colour);
    chooser.addEventListener('click', () => choose(labelClass));
    text.value = name;
    text.addEventListener('change', () => folder.changeClass(id, text.value, colour));
    text.addEventListener('keydown', (event) => event.key === 'Enter' && text.blur());
    picker.value = colour;
    picker.addEventListener('change', () => folder.changeClass(id, name, picker.value));
    remove.addEventListener('click', () => folder.removeClass(id));
    const labels = [
      [chooser, `The next object is ${name}${index < 9 ? ` (${index + 1})` : ''}`],
      [text, `Name of the class ${name}`],
      [picker, `Colour of the class ${name}`],
      [remove, `Remove the class ${name}`],
    ];
    for (const [element, label] of labels) {
      element.setAttribute('aria-label', label);
      element.title = label;
    }
    return row;
  }

  async function add() {
    const name = field.value.trim();
    if (!name) return;
    await folder.addClass(name);
    field.value = '';
  }
  part(root, 'class-add').addEventListener('click', add);
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') add().then(() => part(root, 'stage').focus({ preventScroll: true }));
    if (event.key === 'Escape') part(root, 'stage').focus({ preventScroll: true });
  });
  for (const button of root.querySelectorAll('[data-export]')) {
    button.addEventListener('click', () => folder.exportLabels(button.dataset.export));
  }
}
