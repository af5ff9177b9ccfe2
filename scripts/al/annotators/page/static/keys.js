// Keys: one table for what they do and for the help that lists them.

// [key as nameOf() says it, command, argument, how help shows it, what it does, for which tasks]
const PAINT = "2d 3d";
const ALL = "2d 3d roi";
export const TABLE = [
  ["Enter", "done", null, "Enter", "region done, next one (closes a polygon first)", PAINT],
  ["k", "skip", null, "K", "skip the region, with a reason", ALL],
  ["g", "grid", null, "G", "all RoIs of the cycle, or the one at work", "roi"],
  ["j", "list", null, "J", "go to the list of regions (arrows move, Enter opens)", ALL],
  ["b", "tool", "brush", "B", "brush", PAINT],
  ["e", "tool", "eraser", "E", "eraser", PAINT],
  ["p", "tool", "polygon", "P", "polygon: click corners; Enter or double click closes", PAINT],
  ["Escape", "escape", null, "Esc", "drop the polygon; lay down the keyboard's cursor", PAINT],
  ["l", "tool", "fill", "L", "fill an area of one label", PAINT],
  ["s", "tool", "snap", "S", "snap: paint what looks like the pixel clicked on", PAINT],
  ["r", "rest", false, "R", "fill all that is not painted (slices: this one)", PAINT],
  ["Shift+r", "rest", true, "Shift+R", "the same in all slices of the region", "3d"],
  ["v", "void", null, "V", "“cannot tell”", PAINT],
  [",", "class", -1, ", .", "class before, class after", PAINT],
  [".", "class", 1, "", "", PAINT],
  ["[", "size", -1, "[ ]", "smaller, larger brush", PAINT],
  ["]", "size", 1, "", "", PAINT],
  ["{", "tolerance", -2, "{ }", "snap to less, to more", PAINT],
  ["}", "tolerance", 2, "", "", PAINT],
  ["Ctrl+z", "travel", "undo", "Ctrl+Z", "undo, without end", PAINT],
  ["Ctrl+Shift+z", "travel", "redo", "Ctrl+Shift+Z, Ctrl+Y", "redo", PAINT],
  ["Ctrl+y", "travel", "redo", "", "", PAINT],
  ["m", "proposal", null, "M", "the model’s proposal where nothing is painted", ALL],
  ["h", "hide", null, "H", "hide the labels, show them again", PAINT],
  ["c", "cursor", null, "C", "keyboard’s cursor: arrows move it (Shift: by 10)", PAINT],
  [" ", "apply", null, "Space", "with the cursor: paints while held; else drag to move", PAINT],
  ["f", "fit", false, "F", "fit the region", ALL],
  ["Shift+f", "fit", true, "Shift+F", "fit the whole image", ALL],
  ["+", "zoom", 1.25, "+ −", "zoom (also the wheel; in volumes Ctrl+wheel)", ALL],
  ["=", "zoom", 1.25, "", "", ALL],
  ["-", "zoom", 0.8, "", "", ALL],
  ["ArrowLeft", "arrow", [-1, 0], "Arrows", "move the view", ALL],
  ["ArrowRight", "arrow", [1, 0], "", "", ALL],
  ["ArrowUp", "arrow", [0, -1], "", "", ALL],
  ["ArrowDown", "arrow", [0, 1], "", "", ALL],
  ["PageUp", "slice", 1, "Page up, Page down", "slice after, slice before (also the wheel)", "3d"],
  ["PageDown", "slice", -1, "", "", "3d"],
  ["Home", "home", null, "Home", "back to the region’s slice", "3d"],
  ["Enter", "open", null, "Enter", "in the grid: show the RoI large", "roi"],
  ["?", "help", null, "?", "this help", ALL],
];

/** The name of what was pressed: "b", "Shift+r", "Ctrl+z", "["; of a digit its place, 0 to 19. */
function nameOf(event) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  if (digit && !event.ctrlKey && !event.altKey && !event.metaKey) {
    return ((Number(digit[1]) + 9) % 10) + (event.shiftKey ? 10 : 0);
  }
  let key = event.key;
  // Where a keyboard has letters in the place of brackets, the place counts.
  const place = { BracketLeft: "[{", BracketRight: "]}" }[event.code];
  if (place && !/[[\]{}]/.test(key)) key = place[event.shiftKey ? 1 : 0];
  const letter = /^\p{L}$/u.test(key);
  if (letter) key = key.toLowerCase();
  const shift = event.shiftKey && letter ? "Shift+" : "";
  const control = (event.ctrlKey || event.metaKey) && !event.getModifierState("AltGraph");
  return (control ? "Ctrl+" : "") + shift + key;
}

/** The command of a key for a task, as [command, argument]; null where it means nothing. */
export function commandOf(event, task) {
  const { target } = event;
  if (target.matches?.("input[type=text], textarea, select")) return null;
  const slides = target.matches?.("input[type=range]");
  const presses = target.matches?.("button, summary, a");
  if (slides && /^(Arrow|Page|Home|End)/.test(event.key)) return null;
  if (presses && (event.key === "Enter" || event.key === " ")) return null;
  if (event.altKey && !event.getModifierState("AltGraph")) return null;
  const name = nameOf(event);
  if (typeof name === "number") return ["pick", name];
  const row = TABLE.find(([key, , , , , tasks]) => key === name && tasks.includes(task));
  return row ? [row[1], row[2]] : null;
}

/** The key of a class on the palette; empty for the 21st and after, which "," and "." reach. */
export function keyOfClass(index) {
  if (index > 19) return "";
  return (index > 9 ? "⇧" : "") + ((index + 1) % 10);
}
