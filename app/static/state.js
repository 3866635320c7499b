/**
 * What the page knows, and what its parts share.
 *
 * @typedef {object} State
 * @property {any} about  what the server said of itself, or null; limits: {layers, steps, points}, colours: for layers
 * @property {string} checkpoint
 * @property {{id: string, token: string, name: string, width: number, height: number, encodeMs: number | null,
 *             source: {file: File | null, example: string | null}} | null} photo
 *   id: the page's own; the token is the server's and changes when the photo had to be sent again
 * @property {HTMLImageElement | null} picture  the photo as it is shown
 * @property {ReturnType<typeof import('./outline.js').makeShapes> | null} shapes
 * @property {import('./history.js').History<import('./story.js').Doc>} story
 * @property {import('./asking.js').Answer | null} answer  the newest that was shown
 * @property {boolean} asking
 * @property {import('./outline.js').Shape | null} look  the preview under the mouse, or of a prompt that is dragged
 * @property {{on: boolean, asked: boolean, note: string}} hover  asked: the person switched it on
 * @property {boolean} pointed  the pointer is over the stage
 * @property {{masks: any[], hot: number | null} | null} everything
 * @property {{ticket: string, share: number | null, text: string} | null} running  everything, under way
 * @property {{text: string, share: number | null, expected: number | null, replaces: boolean} | null} opening  a photo, under way
 * @property {'object' | 'background' | 'box' | 'pan'} mode
 * @property {import('./story.js').Target | null} touched
 * @property {{doc?: import('./story.js').Doc, box?: import('./story.js').Box, corner?: {x: number, y: number}} | null} draft
 *   what is being dragged
 * @property {{x: number, y: number} | null} cross  the keyboard's pointer
 * @property {boolean} hidden  the masks are
 * @property {import('./view.js').View} view
 * @property {{width: number, height: number}} stage
 * @property {{photo: {id?: string, name: string, width: number, height: number}, doc: import('./story.js').Doc,
 *             isGone: boolean} | null} orphan  prompts without a photo; isGone: the server no longer has it
 * @property {number | null} decodeMs
 * @property {number | null} clickMs
 *
 * @typedef {object} App
 * @property {HTMLElement} root
 * @property {HTMLElement} surface
 * @property {ReturnType<typeof import('./store.js').makeStore<State>>} store
 * @property {import('./wire.js').Wire} wire
 * @property {(name: string, args: object, call?: import('./wire.js').Call) => Promise<any>} ask  about the open photo
 * @property {() => void} redraw
 * @property {() => Promise<void>} drawn
 * @property {(sentence: string) => void} say  to the status line
 * @property {() => void} sayMask
 * @property {(message: string) => void} toast
 * @property {(error: Error) => void} fail
 */

import { begin } from './history.js';
import { EMPTY, prompts } from './story.js';

/** @returns {State} */
export const firstState = () => ({
  about: null,
  checkpoint: 'default',
  photo: null,
  picture: null,
  shapes: null,
  story: begin(EMPTY),
  answer: null,
  asking: false,
  look: null,
  hover: { on: false, asked: false, note: '' },
  pointed: false,
  everything: null,
  running: null,
  opening: null,
  mode: 'object',
  touched: null,
  draft: null,
  cross: null,
  hidden: false,
  view: { scale: 1, x: 0, y: 0, fitted: true },
  stage: { width: 1, height: 1 },
  orphan: null,
  decodeMs: null,
  clickMs: null,
});

/** For tests: what there is, and how to get from photo pixels to the stage's. */
export function debug({ story, photo, view }) {
  const { chain, layers, selected } = story.present;
  return {
    chain,
    picks: chain.map((step) => step.pick),
    prompts: prompts(story.present),
    layers: layers.map(({ mask, rle, ...layer }) => layer),
    selected,
    photo: photo?.name ?? null,
    width: photo?.width ?? 0,
    height: photo?.height ?? 0,
    transform: { scale: view.scale, x: view.x, y: view.y },
  };
}
