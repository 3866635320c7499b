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
    const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
    now.classes.forEach((each, index) => {
      const row = rows.get(String(each.id)) ?? newRow(each.id);
      rows.delete(String(each.id));
      fill(row, each, index, each.id === now.active);
      if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
    });
    for (const row of rows.values()) row.remove();
  });

  const classOf = (id) => store.get().folder.classes.find((each) => each.id === id);

  /** @param {number | string} id */
  function newRow(id) {
    const row = root.querySelector('.rs-class-template').content.firstElementChild.cloneNode(true);
    row.dataset.id = String(id);
    const [name, colour] = [part(row, 'class-name'), part(row, 'class-colour')];
    part(row, 'class-choose').addEventListener('click', () => choose(classOf(id)));
    name.addEventListener('change', () => folder.changeClass(id, name.value, classOf(id).colour));
    name.addEventListener('keydown', (event) => event.key === 'Enter' && name.blur());
    colour.addEventListener('change', () => folder.changeClass(id, classOf(id).name, colour.value));
    part(row, 'class-remove').addEventListener('click', () => folder.removeClass(id));
    return row;
  }

  /** @param {import('../document/labels.js').LabelClass} labelClass */
  function fill(row, { name, colour }, index, isActive) {
    const key = index < 9 ? String(index + 1) : null;
    const chooser = part(row, 'class-choose');
    chooser.textContent = key ?? '\u00b7';
    chooser.style.setProperty('--rs-class', colour);
    chooser.setAttribute('aria-pressed', String(isActive));
    const field = part(row, 'class-name');
    if (document.activeElement !== field) field.value = name; // not while it is being typed
    part(row, 'class-colour').value = colour;
    const labels = {
      choose: `${name}: class of the selected layer, or of the next object${key ? ` (${key})` : ''}`,
      name: `Rename ${name}`,
      colour: `Colour of the class ${name}`,
      remove: `Remove the class ${name}`,
    };
    for (const [what, label] of Object.entries(labels)) {
      const element = part(row, `class-${what}`);
      element.setAttribute('aria-label', label);
      element.title = label;
    }
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
