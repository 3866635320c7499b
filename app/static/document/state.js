/**
 * All that the page knows, in one object. The store holds it; see store.js.
 *
 * @typedef {object} Photo  the open photo
 * @property {string} id  the page's own name for it; stays when the photo had to be sent again
 * @property {string} token  the server's name for it
 * @property {string} name  of the file
 * @property {number} width  pixels
 * @property {number} height  pixels
 * @property {number | null} encodeMs
 * @property {{file: File | null, example: string | null, folderPhoto: string | null}} source
 *
 * @typedef {object} Prediction  the server's answer to a chain of prompts
 * @property {string} key  of those prompts, see predictionKey
 * @property {{mask: string, iou: number, area: number, share: number}[]} candidates  mask: data URL
 * @property {number} best  index of the candidate that is shown when none is picked; not always the best rated
 * @property {boolean} refined  whether the shown candidate had a second look
 * @property {number} decodeMs
 *
 * @typedef {import('./prompts.js').MaskObject & {bbox: [number, number, number, number]}} FoundMask  of everything mode
 *
 * @typedef {object} State
 * @property {any} about  what the server says of itself, or null before it answers
 * @property {string} checkpoint
 * @property {Photo | null} photo
 * @property {HTMLImageElement | null} picture  the photo as it is drawn
 * @property {ReturnType<typeof import('../view/contours.js').makeShapes> | null} shapes  contours of the photo's masks
 * @property {import('./history.js').History} history
 * @property {number} editedAt  time of the newest edit, as event.timeStamp
 * @property {Prediction | null} prediction  the newest on the screen
 * @property {boolean} predicting
 * @property {import('../view/contours.js').Shape | null} preview  under the mouse, or of a prompt that is dragged
 * @property {{on: boolean, asked: boolean, note: string}} hover  previews under the mouse; asked: the person chose it
 * @property {boolean} pointed  the pointer is over the photo
 * @property {{masks: FoundMask[], hovered: number | null} | null} everything  the masks of everything mode
 * @property {{ticket: string, share: number | null, text: string} | null} running  everything mode at work
 * @property {{text: string, share: number | null, expected: number | null, replaces: boolean} | null} opening
 *   a photo on its way; replaces: the open one will be closed
 * @property {'object' | 'background' | 'box' | 'pan' | 'brush' | 'eraser' | 'outline'} mode  what a click does
 * @property {number} brush  diameter of the brush and the eraser, photo pixels
 * @property {import('./prompts.js').Spot | null} brushAt  where the pointer is, in photo pixels
 * @property {Stroke[]} strokes  drawn by hand, and not yet part of a mask
 * @property {{layer: number, rle: import('./prompts.js').Rle, loops: [number, number][][]} | null} outline
 *   corners of a layer's edge, to be moved; rle: the mask that they belong to
 * @property {import('./labels.js').Folder | null} folder  whose photos are labelled; null on the page for one photo
 * @property {import('./prompts.js').Target | null} touched  the prompt that was used last
 * @property {{doc?: import('./prompts.js').Doc, box?: import('./prompts.js').Box, corner?: import('./prompts.js').Spot,
 *             loops?: [number, number][][]} | null} draft
 *   what is being dragged: the document with a prompt moved, a box and perhaps its first corner, or an outline
 * @property {{id: number, colour: string} | null} recolouring  a layer whose colour is being chosen, and its old colour
 * @property {import('./prompts.js').Spot | null} crosshair  the keyboard's pointer
 * @property {boolean} hidden  masks are not drawn
 * @property {import('../view/viewport.js').View} view
 * @property {import('./prompts.js').Size} stage  CSS pixels
 * @property {{photo: {id?: string, name: string, width: number, height: number}, doc: import('./prompts.js').Doc,
 *             isGone: boolean} | null} lostPhoto  prompts without their photo; isGone: the server no longer has it
 * @property {string} status  the status line
 * @property {{text: string} | null} notice  the newest message over the stage
 * @property {number | null} decodeMs
 * @property {{clicks: number, clickMs: number | null, hovers: number, hoverMs: number | null}} timing
 *   from the event to the drawn mask, newest and how many
 *
 * @typedef {{points: [number, number][], diameter: number, erase: boolean, layer: number | null, colour: string,
 *            isOpen?: boolean}} Stroke  layer: null where it becomes a new one; isOpen: it is still being drawn
 *
 * @typedef {ReturnType<typeof import('./store.js').makeStore<State>>} Store
 */

import { newHistory } from './history.js';
import { currentPrompts, EMPTY_DOC } from './prompts.js';

/** @returns {State} */
export const initialState = () => ({
  about: null,
  checkpoint: 'default',
  photo: null,
  picture: null,
  shapes: null,
  history: newHistory(EMPTY_DOC),
  editedAt: 0,
  prediction: null,
  predicting: false,
  preview: null,
  hover: { on: false, asked: false, note: '' },
  pointed: false,
  everything: null,
  running: null,
  opening: null,
  mode: 'object',
  brush: 0, // until a photo is there
  brushAt: null,
  strokes: [],
  outline: null,
  folder: null,
  touched: null,
  draft: null,
  recolouring: null,
  crosshair: null,
  hidden: false,
  view: { scale: 1, x: 0, y: 0, fitted: true },
  stage: { width: 1, height: 1 },
  lostPhoto: null,
  status: 'Loading',
  notice: null,
  decodeMs: null,
  timing: { clicks: 0, clickMs: null, hovers: 0, hoverMs: null },
});

/** For tests and measurements: the document, and how to get from photo pixels to the stage's. @param {State} state */
export function snapshot({ history, photo, view, folder, outline, crosshair }) {
  const { chain, layers, selected } = history.present;
  return {
    chain,
    picks: chain.map((step) => step.pick),
    prompts: currentPrompts(history.present),
    layers: layers.map(({ mask, rle, ...layer }) => layer),
    selected,
    photo: photo?.name ?? null,
    width: photo?.width ?? 0,
    height: photo?.height ?? 0,
    folder,
    outline,
    crosshair,
    transform: { scale: view.scale, x: view.x, y: view.y },
  };
}
