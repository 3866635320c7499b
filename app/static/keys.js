/** Keys -> commands. Text fields keep their keys; buttons keep Enter and Space. */

const WITH_CTRL = { z: 'undo', y: 'redo' };
const PLAIN = {
  Delete: 'delete',
  Backspace: 'delete',
  Escape: 'escape',
  Enter: 'keep',
  1: 'pick-0',
  2: 'pick-1',
  3: 'pick-2',
  a: 'everything',
  h: 'hide',
  b: 'other-label',
  '?': 'help',
  '+': 'zoom-in',
  '=': 'zoom-in',
  '-': 'zoom-out',
  0: 'zoom-fit',
};
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const isTyping = (target) =>
  target.matches?.('input:not([type=checkbox], [type=range], [type=file]), textarea, select, [contenteditable]');
const keepsEnter = (target) => target.matches?.('button, a, summary, input, label');

/**
 * The command of a key, or null. @param {KeyboardEvent} event @returns {string | null}
 */
export function commandOf(event) {
  const { target, key } = event;
  if (isTyping(target) || target.closest?.('dialog') || event.isComposing) return null;
  if (event.ctrlKey || event.metaKey) {
    const command = WITH_CTRL[key.toLowerCase()] ?? null;
    return command === 'undo' && event.shiftKey ? 'redo' : command;
  }
  if (event.altKey || (key === 'Enter' && keepsEnter(target))) return null;
  return PLAIN[key] ?? PLAIN[key.toLowerCase()] ?? null;
}

/**
 * @param {HTMLElement} surface  the stage: arrows and space are its own
 * @param {{run: (command: string) => void, cross: (dx: number, dy: number, isBig: boolean) => void, place: (since: number) => void}} on
 */
export function listenToKeys(surface, on) {
  let isSpaceDown = false;
  let hasPanned = false;

  document.addEventListener('keydown', (event) => {
    const command = commandOf(event);
    if (command) {
      event.preventDefault();
      on.run(command);
    } else if (event.key === ' ' && (event.target === surface || event.target === document.body)) {
      event.preventDefault(); // or the page scrolls
      if (!event.repeat) [isSpaceDown, hasPanned] = [true, false];
    } else if (event.target === surface && ARROWS[event.key]) {
      event.preventDefault();
      delete surface.dataset.focus;
      on.cross(...ARROWS[event.key], event.shiftKey);
    }
  });
  // on release, because a space that is held drags the photo
  document.addEventListener('keyup', (event) => {
    if (event.key !== ' ' || !isSpaceDown) return;
    isSpaceDown = false;
    if (!hasPanned && event.target === surface) on.place(event.timeStamp);
  });
  window.addEventListener('blur', () => {
    isSpaceDown = false;
  });

  /** Whether a drag pans now; then this space places no point. */
  const takeSpace = () => {
    hasPanned ||= isSpaceDown;
    return isSpaceDown;
  };
  return { takeSpace };
}
