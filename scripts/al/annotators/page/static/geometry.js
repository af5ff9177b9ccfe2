// How a plane of an image lies on the screen: pure functions.

/** Axes of the plane across `axis`, rows first. */
export const planeAxes = (axis) => [0, 1, 2].filter((a) => a !== axis);

const OPPOSITE = { L: "R", R: "L", A: "P", P: "A", S: "I", I: "S" };

/**
 * Where a plane's columns and rows go: {matrix: DOMMatrix from (column, row) to the screen at zoom
 * 1, letters: [top, right, bottom, left] or null, unit: mm per pixel of the screen at zoom 1}.
 *
 * Volumes are shown as radiologists hang them (the patient's right and front to the left, front or
 * head up) where the file says how it lies, and with square millimetres where it says spacing.
 * `orientation`: letters of the low and the high end of each axis.
 */
export function placed(axis, shape, spacing, orientation) {
  const [rows, columns] = planeAxes(axis);
  const mm = spacing || [1, 1, 1];
  const unit = Math.min(mm[rows], mm[columns]);
  const [height, width] = [shape[rows] * (mm[rows] / unit), shape[columns] * (mm[columns] / unit)];
  const [sy, sx] = [mm[rows] / unit, mm[columns] / unit];
  if (!orientation) return { matrix: new DOMMatrix([sx, 0, 0, sy, 0, 0]), letters: null, unit };
  const ends = (a) => [orientation[2 * a], orientation[2 * a + 1]];
  // Head or feet stand upright; where a plane has neither, front or back do.
  const upright = (a) => 2 * "SI".includes(ends(a)[0]) + "AP".includes(ends(a)[0]);
  const across = upright(columns) > upright(rows) ? rows : columns; // shown from left to right
  const down = across === columns ? rows : columns;
  const flipX = !"RA".includes(ends(across)[0]);
  const flipY = !"SA".includes(ends(down)[0]);
  const left = ends(across)[flipX ? 1 : 0];
  const top = ends(down)[flipY ? 1 : 0];
  const letters = [top, OPPOSITE[left], OPPOSITE[top], left];
  // The coefficients of a column and of a row, in screen x and y.
  const column = across === columns ? [flipX ? -sx : sx, 0] : [0, flipY ? -sx : sx];
  const row = across === columns ? [0, flipY ? -sy : sy] : [flipX ? -sy : sy, 0];
  const [w, h] = across === columns ? [width, height] : [height, width];
  const matrix = new DOMMatrix([...column, ...row, flipX ? w : 0, flipY ? h : 0]);
  return { matrix, letters, unit };
}

/** A round length for a scale bar: 1, 2 or 5 times a power of ten, at most `most` mm. */
export function barLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return (most >= 5 * power ? 5 : most >= 2 * power ? 2 : 1) * power;
}

/** The smallest rectangle of the screen around a rectangle of the image. */
export function around(matrix, { left, top, right, bottom }) {
  const corners = [[left, top], [right, top], [left, bottom], [right, bottom]] // prettier-ignore
    .map(([x, y]) => matrix.transformPoint({ x, y }));
  const xs = corners.map((p) => p.x);
  const ys = corners.map((p) => p.y);
  return {
    left: Math.min(...xs),
    top: Math.min(...ys),
    right: Math.max(...xs),
    bottom: Math.max(...ys),
  };
}
