/** The list of layers in the panel. */

import { showThumbnail } from '../view/thumbnails.js';
import { part } from './panel.js';

/**
 * @typedef {ReturnType<typeof import('./actions.js').makeActions>} Actions
 * @param {HTMLElement} root @param {import('../document/state.js').State} state @param {Actions} actions
 */
export function showLayers(root, state, actions) {
  const { history, photo, picture, shapes } = state;
  const { layers, selected } = history.present;
  const list = part(root, 'layers');
  const rows = new Map([...list.children].map((row) => [Number(row.dataset.id), row]));
  layers.forEach((layer, index) => {
    const row = rows.get(layer.id) ?? newRow(root, layer.id, actions);
    rows.delete(layer.id);
    // moving a row takes its focus away, so only rows out of place move
    if (list.children[index] !== row) {
      const focused = row.contains(document.activeElement) ? document.activeElement : null;
      list.insertBefore(row, list.children[index] ?? null);
      focused?.focus();
    }
    fillClass(row, layer, state.folder?.classes);
    fillRow(row, layer, {
      isSelected: layer.id === selected,
      isFirst: index === 0,
      isLast: index === layers.length - 1,
    });
    showThumbnail(row.querySelector('canvas'), layer.mask, layer.colour, { photo, picture, shapes });
  });
  for (const row of rows.values()) removeRow(row, root);
  root.querySelector('.rs-no-layers').hidden = layers.length > 0;
  root.querySelector('.rs-count').textContent = layers.length ? String(layers.length) : '';
}

/** @param {HTMLElement} root @param {number} id @param {Actions} actions */
function newRow(root, id, actions) {
  const row = root.querySelector('.rs-layer-template').content.firstElementChild.cloneNode(true);
  row.dataset.id = String(id);
  const [name, colour] = [part(row, 'layer-name'), part(row, 'layer-colour')];
  const onClick = (key, act) => part(row, `layer-${key}`).addEventListener('click', act);
  onClick('select', () => actions.selectLayer(id));
  onClick('visible', () => actions.toggleLayer(id));
  onClick('up', () => actions.moveLayer(id, -1));
  onClick('down', () => actions.moveLayer(id, 1));
  onClick('delete', () => actions.deleteLayer(id));
  const labelClass = part(row, 'layer-class');
  labelClass.addEventListener('change', () => {
    actions.setClass(id, row.classes[labelClass.selectedIndex]);
    part(root, 'stage').focus({ preventScroll: true }); // or letters would choose another class
  });
  name.addEventListener('change', () => actions.renameLayer(id, name.value.trim()));
  name.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') name.blur();
  });
  colour.addEventListener('input', () => actions.previewColour(id, colour.value));
  colour.addEventListener('change', () => actions.setColour(id, colour.value));
  return row;
}

/** Where a folder is labelled, a layer has a class instead of a name and a colour. */
function fillClass(row, layer, classes) {
  if (!classes) return;
  const select = part(row, 'layer-class');
  select.hidden = false;
  part(row, 'layer-name').hidden = true;
  part(row, 'layer-colour').hidden = true;
  row.style.setProperty('--rs-class', layer.colour);
  if (row.classes !== classes) {
    row.classes = classes;
    select.replaceChildren(...classes.map(({ id, name }) => new Option(name, String(id))));
  }
  select.value = String(layer.category);
}

function fillRow(row, layer, { isSelected, isFirst, isLast }) {
  const [select, name, colour, visible] = ['select', 'name', 'colour', 'visible'].map((key) =>
    part(row, `layer-${key}`),
  );
  row.classList.toggle('rs-selected', isSelected);
  row.classList.toggle('rs-off', !layer.visible);
  select.setAttribute('aria-pressed', String(isSelected));
  if (document.activeElement !== name) name.value = layer.name;
  if (colour.value !== layer.colour) colour.value = layer.colour;
  visible.setAttribute('aria-pressed', String(layer.visible));
  visible.querySelector('use').setAttribute('href', layer.visible ? '#rs-eye' : '#rs-closed');
  part(row, 'layer-up').disabled = isFirst;
  part(row, 'layer-down').disabled = isLast;
  const labels = {
    select: `Select ${layer.name}`,
    name: `Name of ${layer.name}`,
    class: `Class of ${layer.name}`,
    colour: `Colour of ${layer.name}`,
    visible: `Show ${layer.name}`,
    up: `Move ${layer.name} up`,
    down: `Move ${layer.name} down`,
    delete: `Delete ${layer.name}`,
  };
  for (const [key, label] of Object.entries(labels)) {
    const element = part(row, `layer-${key}`);
    element.setAttribute('aria-label', label);
    element.title = label;
  }
}

/** The focus goes to a neighbour. */
function removeRow(row, root) {
  const next = row.contains(document.activeElement) && (row.nextElementSibling ?? row.previousElementSibling);
  const hadFocus = row.contains(document.activeElement);
  row.remove();
  if (hadFocus) (next ? part(next, 'layer-select') : part(root, 'stage')).focus({ preventScroll: true });
}
