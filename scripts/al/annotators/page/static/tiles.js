// An image as tiles in levels: those that are seen are fetched as sharp as the screen shows them.
//
// A pixel of level k is the mean of 2^k x 2^k pixels of the image; level 0 is the image itself.

const SIDE = 512; // pixels of a tile, as the server cuts them
const KEPT = 256; // tiles in memory, a megabyte each
const AGAIN = 2000; // milliseconds
const AT_ONCE = 4; // requests: a browser has six, and drawings are saved meanwhile

export class Tiles {
  /** `region`: any in the image; `fetch(region, level, row, column)`: a tile as ImageBitmap. */
  constructor(fetch, region, height, width) {
    Object.assign(this, { fetch, region, height, width });
    this.kept = new Map(); // by key, what was drawn last at the end
    this.coming = new Map(); // promises by key
    this.queue = []; // seen and not asked for yet
    this.arrived = () => {};
    const level = Math.ceil(Math.log2(Math.max(height, width) / SIDE));
    this.top = { level: Math.max(level, 0), row: 0, column: 0 }; // the whole image
  }

  /** Whether nothing is on its way. */
  get idle() {
    return !this.coming.size && !this.queue.length;
  }

  /** The tiles over a rectangle {left, top, right, bottom} of the image. */
  over(level, rect) {
    const side = SIDE * 2 ** level;
    const range = (low, high, most) => [
      Math.floor(Math.max(low, 0) / side),
      Math.ceil(Math.min(high, most) / side),
    ];
    const [top, bottom] = range(rect.top, rect.bottom, this.height);
    const [left, right] = range(rect.left, rect.right, this.width);
    const tiles = [];
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) tiles.push({ level, row, column });
    }
    return tiles;
  }

  /** The tiles that show a rectangle at `scale` pixels of the screen by pixel of the image. */
  needed(rect, scale) {
    const level = Math.floor(Math.log2(1 / scale));
    return this.over(Math.min(Math.max(level, 0), this.top.level), rect);
  }

  /** Fetches what shows a rectangle at a scale, and the whole image in one tile. */
  async ready(rect, scale) {
    await Promise.all([this.top, ...this.needed(rect, scale)].map((tile) => this.get(tile)));
  }

  /** A tile as a picture; raises what the server answers. */
  get(tile) {
    const key = keyOf(tile);
    if (this.kept.has(key)) return Promise.resolve(this.touch(key));
    if (!this.coming.has(key)) {
      const { level, row, column } = tile;
      const coming = this.fetch(this.region, level, row, column).then((picture) => {
        this.kept.set(key, picture);
        if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
        return picture;
      });
      this.coming.set(key, coming);
      coming.finally(() => this.coming.delete(key)).catch(() => {});
    }
    return this.coming.get(key);
  }

  /** A tile that is there. */
  touch(key) {
    const picture = this.kept.get(key);
    if (!picture) return null;
    this.kept.delete(key);
    this.kept.set(key, picture);
    return picture;
  }

  /** Fetches what is seen and not there, unless the view moves on first. */
  pump() {
    while (this.queue.length && this.coming.size < AT_ONCE) {
      const next = () => {
        this.arrived();
        this.pump();
      };
      // After a failure everything that is seen is asked for again.
      this.get(this.queue.shift()).then(next, () => setTimeout(() => this.arrived(), AGAIN));
    }
  }

  /**
   * Draws a rectangle of the image, and has fetched what lacks; until then larger or smaller tiles
   * stand in. `put(source, rect, [x, y, width, height])` draws that part of a picture.
   */
  draw(rect, scale, put) {
    this.touch(keyOf(this.top));
    this.queue = [];
    for (const tile of this.needed(rect, scale)) {
      const area = this.area(tile);
      if (this.drawFrom(tile, area, put)) continue;
      this.queue.push(tile);
      for (let { level, row, column } = tile; level < this.top.level; ) {
        [level, row, column] = [level + 1, row >> 1, column >> 1];
        if (this.drawFrom({ level, row, column }, area, put)) break;
      }
      if (!tile.level) continue;
      for (const part of this.over(tile.level - 1, area)) this.drawFrom(part, this.area(part), put);
    }
    this.pump();
  }

  /** Draws an area of the image from a tile around it; returns whether that is there. */
  drawFrom({ level, row, column }, area, put) {
    const picture = this.touch(keyOf({ level, row, column }));
    if (!picture) return false;
    const scale = 2 ** level;
    const [x, y] = [area.left / scale - column * SIDE, area.top / scale - row * SIDE];
    const size = [(area.right - area.left) / scale, (area.bottom - area.top) / scale];
    put(picture, area, [x, y, ...size]);
    return true;
  }

  /** What a tile shows of the image. */
  area({ level, row, column }) {
    const side = SIDE * 2 ** level;
    return {
      left: column * side,
      top: row * side,
      right: Math.min((column + 1) * side, this.width),
      bottom: Math.min((row + 1) * side, this.height),
    };
  }

  /** Pictures of the image's own pixels over a rectangle: [{source, left, top}]. */
  pixels(rect) {
    return Promise.all(
      this.over(0, rect).map(async (tile) => {
        return { source: await this.get(tile), left: tile.column * SIDE, top: tile.row * SIDE };
      }),
    );
  }
}

const keyOf = ({ level, row, column }) => `${level} ${row} ${column}`;
