// Operations on label maps: pure functions over arrays, no page and no network.
//
// A plane is {height, width, labels: Uint8Array, mask: Uint8Array | null}; only pixels of the mask
// change. An operation returns the rectangle {top, left, bottom, right} (half-open) in which pixels
// changed, or null. All geometry is in whole pixels, so results are exact.

export const NONE = 255; // not painted yet
export const VOID = 254; // painted as "cannot tell"; what is finished has 255 for both

/** The smallest rectangle around two; either may be null. */
export function union(a, b) {
  if (!a || !b) return a || b;
  return {
    top: Math.min(a.top, b.top),
    left: Math.min(a.left, b.left),
    bottom: Math.max(a.bottom, b.bottom),
    right: Math.max(a.right, b.right),
  };
}

/** Writes one row's span [left, right) into the plane; returns `rect` grown by what changed. */
function span(plane, y, left, right, value, rect) {
  const { labels, mask, width } = plane;
  let first = -1;
  let last = -1;
  for (let i = y * width + left, end = y * width + right; i < end; i++) {
    if (labels[i] === value || (mask && !mask[i])) continue;
    labels[i] = value;
    if (first < 0) first = i;
    last = i;
  }
  if (first < 0) return rect;
  const row = y * width;
  return union(rect, { top: y, bottom: y + 1, left: first - row, right: last - row + 1 });
}

/**
 * A round brush drawn from pixel a to pixel b ([y, x]): all pixels whose centre is nearer to the
 * segment between the centres of a and b than half the diameter (an odd number of pixels).
 */
export function segment(plane, a, b, diameter, value) {
  const [ay, ax] = a;
  const [vy, vx] = [b[0] - ay, b[1] - ax];
  const length = vy * vy + vx * vx;
  const limit = diameter * diameter;
  const reach = (diameter - 1) / 2;
  const half = vy ? (diameter / 2) * Math.sqrt(length) / Math.abs(vy) : Infinity;
  const near = (y, x) => {
    const [wy, wx] = [y - ay, x - ax];
    const along = wy * vy + wx * vx;
    if (along <= 0) return 4 * (wy * wy + wx * wx) < limit;
    if (along >= length) return 4 * ((wy - vy) ** 2 + (wx - vx) ** 2) < limit;
    return 4 * (wy * vx - wx * vy) ** 2 < limit * length;
  };
  const low = Math.max(Math.min(ax, b[1]) - reach, 0);
  const high = Math.min(Math.max(ax, b[1]) + reach, plane.width - 1);
  const bottom = Math.min(Math.max(ay, b[0]) + reach, plane.height - 1);
  let rect = null;
  for (let y = Math.max(Math.min(ay, b[0]) - reach, 0); y <= bottom; y++) {
    const centre = vy ? ax + ((y - ay) * vx) / vy : 0;
    let left = Math.max(low, Math.floor(centre - half));
    let right = Math.min(high, Math.ceil(centre + half));
    // What a brush covers is convex: one span a row.
    while (left <= right && !near(y, left)) left++;
    while (right >= left && !near(y, right)) right--;
    if (left <= right) rect = span(plane, y, left, right + 1, value, rect);
  }
  return rect;
}

/** A polygon of pixels ([y, x]): what lies inside (even-odd), and the pixels of its edges. */
export function polygon(plane, points, value) {
  let rect = null;
  const edges = points.map((point, i) => [point, points[(i + 1) % points.length]]);
  for (let y = 0; y < plane.height; y++) {
    const crossings = [];
    for (const [[ay, ax], [by, bx]] of edges) {
      if (ay <= y !== by <= y) crossings.push(ax + ((y - ay) * (bx - ax)) / (by - ay));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const left = Math.max(Math.ceil(crossings[i]), 0);
      const right = Math.min(Math.floor(crossings[i + 1]) + 1, plane.width);
      if (left < right) rect = span(plane, y, left, right, value, rect);
    }
  }
  for (const [a, b] of edges) rect = union(rect, segment(plane, a, b, 1, value));
  return rect;
}

/** Visits the pixels that hang together with (y, x) by their sides and that `belongs` takes. */
function spread(plane, y, x, belongs, visit) {
  const { height, width, mask } = plane;
  if (y < 0 || x < 0 || y >= height || x >= width) return;
  const seen = new Uint8Array(height * width);
  const stack = [];
  const push = (i) => {
    if (seen[i] || (mask && !mask[i])) return;
    seen[i] = 1;
    if (belongs(i)) stack.push(i);
  };
  push(y * width + x);
  while (stack.length) {
    const i = stack.pop();
    const column = i % width;
    visit(i, (i - column) / width, column);
    if (column > 0) push(i - 1);
    if (column < width - 1) push(i + 1);
    if (i >= width) push(i - width);
    if (i < (height - 1) * width) push(i + width);
  }
}

function paintSpread(plane, y, x, value, belongs) {
  const { labels } = plane;
  const rect = { top: Infinity, left: Infinity, bottom: 0, right: 0 };
  spread(plane, y, x, belongs, (i, row, column) => {
    if (labels[i] === value) return;
    labels[i] = value;
    if (row < rect.top) rect.top = row;
    if (row >= rect.bottom) rect.bottom = row + 1;
    if (column < rect.left) rect.left = column;
    if (column >= rect.right) rect.right = column + 1;
  });
  return rect.bottom ? rect : null;
}

/** Fills the pixels of one label around (y, x). */
export function flood(plane, y, x, value) {
  const label = plane.labels[y * plane.width + x];
  if (label === value) return null;
  return paintSpread(plane, y, x, value, (i) => plane.labels[i] === label);
}

/** Sums of the colours of the 3 x 3 pixels around a pixel, and how many there are: [r, g, b, n]. */
function sumsAround({ height, width }, image, y, x) {
  const sums = [0, 0, 0, 0];
  for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
    for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
      for (let c = 0; c < 3; c++) sums[c] += image[4 * (v * width + u) + c];
      sums[3]++;
    }
  }
  return sums;
}

/**
 * Paints what looks like the surroundings of (y, x) and hangs together with it. The mean of the
 * 3 x 3 pixels there is compared with a pixel and with the mean around it, which forgives noise: in
 * one of them no colour channel may differ by more than `tolerance`. `image`: RGBA of the plane.
 */
export function grow(plane, image, y, x, tolerance, value) {
  const seed = sumsAround(plane, image, y, x);
  const near = (sums, n) => {
    const far = (c) => Math.abs(sums[c] * seed[3] - seed[c] * n) > tolerance * n * seed[3];
    return !far(0) && !far(1) && !far(2);
  };
  const belongs = (i) => {
    if (near(image.subarray(4 * i, 4 * i + 3), 1)) return true;
    const column = i % plane.width;
    const sums = sumsAround(plane, image, (i - column) / plane.width, column);
    return near(sums, sums[3]);
  };
  return paintSpread(plane, y, x, value, belongs);
}

/** Gives every pixel that is not painted a class, or its own of `values` (255: none there). */
export function fillRest(plane, value, values = null) {
  let rect = null;
  const { labels, mask, width } = plane;
  for (let row = 0; row < labels.length; row += width) {
    let [first, last] = [-1, -1];
    for (let i = row; i < row + width; i++) {
      const given = values ? values[i] : value;
      if (labels[i] !== NONE || given === NONE || (mask && !mask[i])) continue;
      labels[i] = given;
      if (first < 0) first = i;
      last = i;
    }
    const y = row / width;
    const changed = { top: y, left: first - row, bottom: y + 1, right: last - row + 1 };
    if (first >= 0) rect = union(rect, changed);
  }
  return rect;
}

/** How many pixels (of the mask) fulfil a condition of their label and place. */
export function count(labels, mask, condition) {
  let n = 0;
  for (let i = 0; i < labels.length; i++) if ((!mask || mask[i]) && condition(labels[i], i)) n++;
  return n;
}

/** What was drawn on what is known: 255 where nothing was; what was known and is erased is void. */
export function drawnOn(known, labels) {
  const out = labels.slice();
  for (let i = 0; i < out.length; i++) {
    if (out[i] === known[i]) out[i] = NONE;
    else if (out[i] === NONE) out[i] = VOID;
  }
  return out;
}

/** The labels where `drawn` lies on what is known. */
export function overKnown(known, drawn) {
  return drawn.map((label, i) => (label === NONE ? known[i] : label));
}

/** The map as it is when it is finished: "cannot tell" and "not painted" are both 255. */
export function stored(labels) {
  const out = labels.slice();
  for (let i = 0; i < out.length; i++) if (out[i] === VOID) out[i] = NONE;
  return out;
}

/** Run lengths of labels: a number per run, 256 * length + label. */
export function toRuns(labels) {
  const runs = [];
  for (let i = 0; i < labels.length; ) {
    const start = i;
    const label = labels[i];
    while (i < labels.length && labels[i] === label && i - start < 0xffffff) i++;
    runs.push((i - start) * 256 + label);
  }
  return Uint32Array.from(runs);
}

/** The labels of run lengths. */
export function fromRuns(runs, length) {
  const labels = new Uint8Array(length);
  let i = 0;
  for (const run of runs) labels.fill(run & 255, i, (i += run >>> 8));
  return labels;
}

/** A box of voxels (C order) with the slice axis put first, or back in its place. */
export function moveAxis(box, size, axis, back = false) {
  if (!axis) return box.slice(); // 2-D (null), or the axis is first already
  const rest = [0, 1, 2].filter((a) => a !== axis);
  const stride = [size[1] * size[2], size[2], 1];
  const moved = new Uint8Array(box.length);
  let i = 0;
  for (let k = 0; k < size[axis]; k++) {
    for (let r = 0; r < size[rest[0]]; r++) {
      for (let c = 0; c < size[rest[1]]; c++, i++) {
        const j = k * stride[axis] + r * stride[rest[0]] + c * stride[rest[1]];
        if (back) moved[j] = box[i];
        else moved[i] = box[j];
      }
    }
  }
  return moved;
}

/** Undo and redo of strokes over planes that are parts of one array, without end. */
export class History {
  constructor(all, planes) {
    Object.assign(this, { all, planes, past: [], future: [], before: null, touched: null });
  }

  /** A stroke begins. */
  begin() {
    this.before = this.all.slice();
    this.touched = new Map();
  }

  /** Something changed in a plane (its number, a rectangle or null). */
  touch(plane, rect) {
    if (rect) this.touched.set(plane, union(this.touched.get(plane), rect));
  }

  /** The stroke ends; returns whether it changed anything. */
  end() {
    const { before, touched, planes } = this;
    this.before = this.touched = null;
    if (!touched.size) return false;
    this.past.push(
      [...touched].map(([plane, rect]) => {
        const n = planes[plane].labels.length;
        const old = before.subarray(plane * n, (plane + 1) * n);
        const cut = (labels) => toRuns(this.cut(labels, planes[plane].width, rect));
        return { plane, rect, before: cut(old), after: cut(planes[plane].labels) };
      }),
    );
    this.future = [];
    return true;
  }

  /** Takes back the last stroke; returns [{plane, rect}] or null. */
  undo() {
    return this.move(this.past, this.future, "before");
  }

  /** Makes the stroke that was taken back last again. */
  redo() {
    return this.move(this.future, this.past, "after");
  }

  move(from, to, which) {
    const entry = from.pop();
    if (!entry) return null;
    to.push(entry);
    for (const part of entry) {
      const { labels, width } = this.planes[part.plane];
      const { top, left, bottom, right } = part.rect;
      const values = fromRuns(part[which], (bottom - top) * (right - left));
      for (let y = top; y < bottom; y++) {
        const row = (y - top) * (right - left);
        labels.set(values.subarray(row, row + right - left), y * width + left);
      }
    }
    return entry;
  }

  cut(labels, width, { top, left, bottom, right }) {
    const part = new Uint8Array((bottom - top) * (right - left));
    for (let y = top; y < bottom; y++) {
      part.set(labels.subarray(y * width + left, y * width + right), (y - top) * (right - left));
    }
    return part;
  }
}
