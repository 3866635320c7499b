/**
 * Contours of masks. Drawn as paths, masks stay sharp at any zoom, and many of them take little time.
 *
 * @typedef {{path: Path2D, box_xyxy: [number, number, number, number], empty: boolean}} Shape  in photo pixels
 */

const INSIDE = 128; // alpha

// heading north, east, south, west; the mask lies on the right hand
const DX = [0, 1, 0, -1];
const DY = [-1, 0, 1, 0];
const RIGHT = [
  [0, -1],
  [0, 0],
  [-1, 0],
  [-1, -1],
]; // from a grid corner: the pixel ahead, on the right
const LEFT = [
  [-1, -1],
  [0, -1],
  [0, 0],
  [-1, 0],
];

/**
 * Follow every border between inside and outside along the cracks between pixels.
 * @param {Uint8ClampedArray} rgba @param {number} width @param {number} height
 * @returns {number[][]}  closed loops [x, y, x, y, ...] in pixels; outer ones clockwise, holes the other way
 */
function trace(rgba, width, height) {
  const stride = width + 2; // a frame of empty pixels, so that no step leaves the array
  const inside = new Uint8Array(stride * (height + 2));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (rgba[(y * width + x) * 4 + 3] >= INSIDE) inside[(y + 1) * stride + x + 1] = 1;
    }
  }
  const seen = new Uint8Array(inside.length);
  const loops = [];
  for (let y = 1; y <= height; y++) {
    for (let x = 1; x <= width; x++) {
      const at = y * stride + x;
      if (inside[at] && !inside[at - 1] && !seen[at]) loops.push(follow(inside, seen, stride, x, y));
    }
  }
  return loops;
}

/** One border, from the top left corner of pixel (x, y), where it has just come from the south and turns. */
function follow(inside, seen, stride, x, y) {
  const turn = (vx, vy, d) => {
    if (!inside[(vy + RIGHT[d][1]) * stride + vx + RIGHT[d][0]]) return 1;
    return inside[(vy + LEFT[d][1]) * stride + vx + LEFT[d][0]] ? 3 : 0;
  };
  const loop = [];
  let [vx, vy, d] = [x, y, turn(x, y, 0) & 3];
  const first = d;
  do {
    const [fromX, fromY] = [vx, vy];
    let length = 0;
    let turned = 0;
    do {
      if (d === 0) seen[(vy - 1) * stride + vx] = 1;
      vx += DX[d];
      vy += DY[d];
      length += 1;
      turned = turn(vx, vy, d);
    } while (turned === 0);
    // points a little before the corners instead of the corners: stairs become slopes, straight edges stay
    const inset = Math.min(length / 2, 1.5);
    loop.push(fromX - 1 + DX[d] * inset, fromY - 1 + DY[d] * inset);
    if (length > 3) loop.push(vx - 1 - DX[d] * inset, vy - 1 - DY[d] * inset);
    d = (d + turned) & 3;
  } while (vx !== x || vy !== y || d !== first);
  return loop;
}

/**
 * Read a mask image. It covers the whole photo, at any resolution.
 * @param {string} url  a PNG whose alpha is the mask
 * @param {{width: number, height: number}} photo
 * @param {[number, number, number, number]} [bbox]  x, y, width, height in photo pixels; the mask lies inside
 * @returns {Promise<Shape>}
 */
async function readShape(url, photo, bbox) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const [sx, sy] = [photo.width / image.naturalWidth, photo.height / image.naturalHeight];
  const [x, y, width, height] = region(bbox, sx, sy, image.naturalWidth, image.naturalHeight);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, -x, -y);
  return toShape(trace(context.getImageData(0, 0, width, height).data, width, height), x, y, sx, sy);
}

function region(bbox, sx, sy, width, height) {
  if (!bbox) return [0, 0, width, height];
  const [x0, y0] = [Math.max(0, Math.floor(bbox[0] / sx) - 2), Math.max(0, Math.floor(bbox[1] / sy) - 2)];
  const x1 = Math.min(width, Math.ceil((bbox[0] + bbox[2]) / sx) + 2);
  const y1 = Math.min(height, Math.ceil((bbox[1] + bbox[3]) / sy) + 2);
  return [x0, y0, Math.max(1, x1 - x0), Math.max(1, y1 - y0)];
}

/** @returns {Shape} */
function toShape(loops, dx, dy, sx, sy) {
  const path = new Path2D();
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const loop of loops) {
    for (let i = 0; i < loop.length; i += 2) {
      const [x, y] = [(loop[i] + dx) * sx, (loop[i + 1] + dy) * sy];
      if (i === 0) path.moveTo(x, y);
      else path.lineTo(x, y);
      [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x), Math.max(y1, y)];
    }
    path.closePath();
  }
  return { path, box_xyxy: loops.length ? [x0, y0, x1, y1] : [0, 0, 0, 0], empty: loops.length === 0 };
}

/**
 * The contours of one photo's masks, by data URL, each read once. ``get`` is for drawing: it returns null until the
 * mask has been read.
 * @param {{width: number, height: number}} photo @param {() => void} onRead  a mask has been read
 */
export function makeShapes(photo, onRead) {
  const limit = 3000; // more than everything mode finds with the densest grid
  /** @type {Map<string, {promise: Promise<Shape>, shape: Shape | null}>} */
  const known = new Map();

  const load = (url, bbox) => {
    const old = known.get(url);
    if (old) return old.promise;
    const entry = { shape: null, promise: readShape(url, photo, bbox) };
    entry.promise.then(
      (shape) => {
        entry.shape = shape;
        onRead();
      },
      () => known.delete(url),
    );
    known.set(url, entry);
    if (known.size > limit) known.delete(known.keys().next().value);
    return entry.promise;
  };

  const get = (url) => {
    const entry = known.get(url);
    if (entry) return entry.shape;
    load(url).catch(() => {}); // a mask that cannot be read is not drawn
    return null;
  };

  return { load, get };
}

const probe = new OffscreenCanvas(1, 1).getContext('2d');

/** @param {Shape} shape @param {{x: number, y: number}} at  photo pixels */
export const contains = (shape, at) => probe.isPointInPath(shape.path, at.x, at.y, 'evenodd');
