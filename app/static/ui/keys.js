/** Keys -> commands, and arrow keys -> crosshair. Text fields keep their keys; buttons keep Enter and Space. */

const WITH_CTRL = { z: 'undo', y: 'redo' };
const PLAIN = {
  Delete: 'delete',
  Backspace: 'delete',
  Escape: 'escape',
  Enter: 'keep',
  1: 'thumb-0',
  2: 'thumb-1',
  3: 'thumb-2',
  r: 'refine',
  a: 'everything',
  h: 'hide',
  b: 'switch-label',
  '?': 'help',
  o: 'mode-object',
  x: 'mode-box',
  d: 'mode-brush',
  e: 'mode-eraser',
  v: 'mode-outline',
  '[': 'brush-smaller',
  ']': 'brush-larger',
  c: 'next-candidate',
  k: 'layer-above',
  j: 'layer-below',
  g: 'fill-holes',
  i: 'drop-islands',
  s: 'split',
  m: 'merge',
  t: 'cut',
  '+': 'zoom-in',
  '=': 'zoom-in',
  '-': 'zoom-out',
  0: 'zoom-fit',
};
const IN_FOLDER = {
  n: 'next-photo',
  PageDown: 'next-photo',
  p: 'previous-photo',
  PageUp: 'previous-photo',
  u: 'untouched-photo',
  f: 'finish-photo',
  '.': 'add-class',
  q: 'propose',
  ...Object.fromEntries(Array.from('123456789', (digit) => [digit, `class-${digit}`])),
};
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const isTyping = (target) =>
  target.matches?.('input:not([type=checkbox], [type=range], [type=file]), textarea, select, [contenteditable]');
const keepsEnter = (target) => target.matches?.('button, a, summary, input, label');

/** The command of a key, or null. @param {KeyboardEvent} event @param {boolean} isFolder @returns {string | null} */
function commandOf(event, isFolder) {
  const { target, key } = event;
  if (isTyping(target) || target.closest?.('dialog') || event.isComposing) return null;
  if (event.ctrlKey || event.metaKey) {
    const command = WITH_CTRL[key.toLowerCase()] ?? null;
    return command === 'undo' && event.shiftKey ? 'redo' : command;
  }
  if (event.altKey || (key === 'Enter' && keepsEnter(target))) return null;
  const keys = isFolder ? { ...PLAIN, ...IN_FOLDER } : PLAIN;
  return keys[key] ?? keys[key.toLowerCase()] ?? null;
}

/**
 * @param {HTMLElement} surface  the stage; the arrow keys are its own
 * @param {Record<string, () => void>} commands
 * @param {{show: () => void, move: (dx: number, dy: number, isBig: boolean) => void, hide: () => void}} crosshair
 * @param {() => boolean} isFolder  the photos of a folder are labelled
 */
export function listenToKeys(surface, commands, crosshair, isFolder) {
  document.addEventListener('keydown', (event) => {
    const command = commandOf(event, isFolder());
    if (command) {
      event.preventDefault();
      commands[command]();
    } else if (event.target === surface && ARROWS[event.key]) {
      event.preventDefault();
      delete surface.dataset.focus;
      crosshair.move(...ARROWS[event.key], event.shiftKey);
    }
  });
  surface.addEventListener('focus', () => {
    if (surface.dataset.focus !== 'pointer') crosshair.show();
  });
  surface.addEventListener('blur', () => {
    delete surface.dataset.focus;
    crosshair.hide();
  });
}
