/**
 * Where the photo lies on the stage: screen = photo * scale + (x, y), in CSS pixels from the stage's top left corner.
 *
 * @typedef {{scale: number, x: number, y: number, fitted: boolean}} View  fitted: nobody has zoomed, so follow the window
 * @typedef {{x: number, y: number}} Spot
 * @typedef {{width: number, height: number}} Size
 */

const MARGIN = 12;
const CLOSEST = 64; // screen pixels for one of the photo
const STAYS = 48; // so much of the photo can not be pushed off the stage

/** The whole photo, centred. @param {Size} photo @param {Size} stage @returns {View} */
export function fit(photo, stage) {
  const margin = stage.width < 500 ? 4 : MARGIN;
  const scale = Math.max(
    0.001,
    Math.min((stage.width - 2 * margin) / photo.width, (stage.height - 2 * margin) / photo.height, 8),
  );
  return {
    scale,
    x: (stage.width - photo.width * scale) / 2,
    y: (stage.height - photo.height * scale) / 2,
    fitted: true,
  };
}

/** @param {View} view @param {Spot} spot  on the screen @returns {Spot} */
export const toPhoto = (view, spot) => ({ x: (spot.x - view.x) / view.scale, y: (spot.y - view.y) / view.scale });

/** @param {View} view @param {Spot} spot  in the photo @returns {Spot} */
export const toScreen = (view, spot) => ({ x: spot.x * view.scale + view.x, y: spot.y * view.scale + view.y });

/** What lies under ``at`` stays there. @returns {View} */
export function zoom(view, factor, at, photo, stage) {
  const smallest = fit(photo, stage).scale / 4;
  const scale = Math.min(Math.max(view.scale * factor, smallest), CLOSEST);
  const real = scale / view.scale;
  return within(
    { scale, x: at.x - (at.x - view.x) * real, y: at.y - (at.y - view.y) * real, fitted: false },
    photo,
    stage,
  );
}

/** @returns {View} */
export const pan = (view, dx, dy, photo, stage) =>
  within({ ...view, x: view.x + dx, y: view.y + dy, fitted: false }, photo, stage);

/** @param {Spot} spot  in the photo @param {Size} photo @param {number} [slack] photo pixels */
export const isInside = (spot, photo, slack = 0) =>
  spot.x >= -slack && spot.y >= -slack && spot.x <= photo.width + slack && spot.y <= photo.height + slack;

const within = (view, photo, stage) => ({
  ...view,
  x: Math.min(Math.max(view.x, STAYS - photo.width * view.scale), stage.width - STAYS),
  y: Math.min(Math.max(view.y, STAYS - photo.height * view.scale), stage.height - STAYS),
});
