/** Thumbnails of masks: the part of the photo around the mask, with the rest dimmed. */

/** @type {WeakMap<HTMLCanvasElement, {mask: string, colour: string, shapes: any}>} what each canvas shows */
const shown = new WeakMap();

/**
 * Draw a mask's thumbnail as soon as the mask is read, unless the canvas shows another one by then.
 * @param {HTMLCanvasElement} canvas @param {string} mask  data URL @param {string} colour
 * @param {Pick<import('../document/state.js').State, 'photo' | 'picture' | 'shapes'>} state
 */
export function showThumbnail(canvas, mask, colour, { photo, picture, shapes }) {
  const old = shown.get(canvas);
  if (old && old.mask === mask && old.colour === colour && old.shapes === shapes) return;
  const wanted = { mask, colour, shapes };
  shown.set(canvas, wanted);
  shapes.load(mask).then(
    (shape) => {
      if (shown.get(canvas) === wanted) drawThumbnail(canvas, picture, photo, shape, colour);
    },
    () => {},
  );
}

/** @param {HTMLCanvasElement} canvas */
export function clearThumbnail(canvas) {
  if (!shown.delete(canvas)) return;
  const context = canvas.getContext('2d');
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
}

/**
 * @param {HTMLCanvasElement} canvas @param {CanvasImageSource} picture  covers the photo at any resolution
 * @param {{width: number, height: number}} photo @param {import('./contours.js').Shape} shape @param {string} colour
 */
function drawThumbnail(canvas, picture, photo, shape, colour) {
  const context = canvas.getContext('2d');
  const [x0, y0, x1, y1] = shape.empty ? [0, 0, photo.width, photo.height] : withMargin(shape.box_xyxy, photo);
  const scale = Math.min(canvas.width / (x1 - x0), canvas.height / (y1 - y0));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(
    scale,
    0,
    0,
    scale,
    canvas.width / 2 - (scale * (x0 + x1)) / 2,
    canvas.height / 2 - (scale * (y0 + y1)) / 2,
  );
  context.drawImage(picture, 0, 0, photo.width, photo.height);
  const outside = new Path2D(shape.path);
  outside.rect(0, 0, photo.width, photo.height);
  context.fillStyle = 'rgba(10, 14, 20, .62)';
  context.fill(outside, 'evenodd');
  context.strokeStyle = colour;
  context.lineWidth = 2.5 / scale;
  context.lineJoin = 'round';
  context.stroke(shape.path);
}

/** Some of what surrounds the object, inside the photo. */
function withMargin([x0, y0, x1, y1], { width, height }) {
  const margin = 0.12 * Math.max(x1 - x0, y1 - y0) + 2;
  return [
    Math.max(0, x0 - margin),
    Math.max(0, y0 - margin),
    Math.min(width, x1 + margin),
    Math.min(height, y1 + margin),
  ];
}
