/** The marks as buttons: those that would cover each other share one. */
export const marksScript: string = String.raw`
const marksLayer = byId('marks');
const closestMarks = 17;
const mostNamed = 6;
const svgSpace = 'http://www.w3.org/2000/svg';
const marks = lanes.flatMap((lane, row) => lane.marks.map((mark) => ({ ...mark, row }))).sort((one, other) => one.atMs - other.atMs || one.entry - other.entry);
const markAt = new Map(marks.map((mark, index) => [mark.entry, index]));
const buttons = new Map();
let focusedMark = null;

const isShown = (mark) => state.words.length === 0 || matches(mark.entry);
const rank = (mark) => (mark.kind === 'broken' ? 4 : entries[mark.entry].class);

/** Marks in view, in order of time; neighbours in one lane that are too close together. */
function clusters() {
  const open = new Map();
  const found = [];
  marks.forEach((mark, index) => {
    if (mark.atMs < view.from || mark.atMs > view.to || !isShown(mark)) return;
    const x = xOf(mark.atMs);
    const before = open.get(mark.row);
    if (before && x - before.x < closestMarks) {
      before.members.push(index);
      return;
    }
    const cluster = { x, row: mark.row, members: [index] };
    open.set(mark.row, cluster);
    found.push(cluster);
  });
  return found;
}

/** The mark that a button shows: the worst of those that it stands for. */
const shownOf = (cluster) => cluster.members.reduce((worst, index) => (rank(marks[index]) > rank(marks[worst]) ? index : worst), cluster.members[0]);

const wordsGap = 13;
/** A mark that stands for several has a badge beside it. */
const badgePixels = 10;
const fewestWordPixels = 56;
/** What the marks say, beside them where there is room: to the right, the last one also to the left. */
function drawMarkWords(boxes, found) {
  const context = byId('lanes').getContext('2d');
  const rows = new Map();
  for (const cluster of found) rows.set(cluster.row, [...(rows.get(cluster.row) ?? []), cluster]);
  for (const [row, inRow] of rows) {
    let takenTo = 0;
    inRow.forEach((cluster, place) => {
      const next = inRow[place + 1];
      const from = cluster.x + wordsGap + (cluster.members.length > 1 ? badgePixels : 0);
      const right = (next ? next.x - wordsGap : state.width) - from;
      const left = cluster.x - wordsGap - takenTo;
      if (right >= fewestWordPixels) takenTo = from + drawWords(context, cluster, from, right, boxes.lanes[row]);
      else if (!next && left >= fewestWordPixels) drawWords(context, cluster, cluster.x - wordsGap, -left, boxes.lanes[row]);
      else takenTo = from;
    });
  }
}

/** Draws to the right of x, or to the left where the room is negative; gives how wide it became. */
function drawWords(context, cluster, x, room, box) {
  const more = cluster.members.length > 1 ? ' (+' + (cluster.members.length - 1) + ')' : '';
  const text = entries[marks[shownOf(cluster)].entry].text;
  const words = shortened(context, text, Math.abs(room) - context.measureText(more).width) + more;
  const width = context.measureText(words).width;
  const from = room < 0 ? x - width : x;
  const middle = box.top + box.height / 2;
  context.fillStyle = tones.surface;
  context.fillRect(from - 2, middle - 7, width + 4, 14);
  context.fillStyle = tones.muted;
  context.fillText(words, from, middle + 0.5);
  return width;
}

/** As much of a text as there is room for. */
function shortened(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let [fits, long] = [0, text.length];
  while (long - fits > 1) {
    const middle = (fits + long) >> 1;
    if (context.measureText(text.slice(0, middle) + '…').width <= room) fits = middle;
    else long = middle;
  }
  return text.slice(0, fits).trimEnd() + '…';
}

function layoutMarks(boxes, found) {
  const hadFocus = marksLayer.contains(document.activeElement);
  const keep = new Set(found.map(({ members }) => members[0]));
  for (const [key, button] of buttons) {
    if (keep.has(key)) continue;
    button.remove();
    buttons.delete(key);
  }
  found.forEach((cluster, place) => {
    const button = buttonOf(cluster);
    const box = boxes.lanes[cluster.row];
    button.style.left = cluster.x + 'px';
    button.style.top = box.top + box.height / 2 + 'px';
    if (marksLayer.children[place] !== button) marksLayer.insertBefore(button, marksLayer.children[place] ?? null);
  });
  // What had the focus may have become part of another button.
  if (hadFocus && !marksLayer.contains(document.activeElement)) {
    const holder = found.find(({ members }) => members.includes(focusedMark));
    if (holder) buttons.get(holder.members[0]).focus({ preventScroll: true });
    else plot.focus({ preventScroll: true });
  }
}

function buttonOf(cluster) {
  const key = cluster.members[0];
  const shown = shownOf(cluster);
  const button = buttons.get(key) ?? document.createElement('button');
  const mark = marks[shown];
  const entry = entries[mark.entry];
  const count = cluster.members.length;
  const signature = shown + ' ' + count;
  button.members = cluster.members;
  button.setAttribute('aria-pressed', String(cluster.members.some((index) => marks[index].entry === state.chosen)));
  if (button.signature === signature) return button;
  button.signature = signature;
  button.type = 'button';
  button.className = 'mark ' + mark.kind + ' class' + entry.class;
  const svg = document.createElementNS(svgSpace, 'svg');
  svg.setAttribute('viewBox', '0 0 14 14');
  svg.append(pathOf(data.shapes[mark.kind], ''));
  if (mark.kind !== 'fault') svg.append(pathOf(data.glyphs[entry.class], 'glyph'));
  button.replaceChildren(svg);
  if (count > 1) {
    const badge = document.createElement('b');
    badge.textContent = count > 99 ? '99+' : String(count);
    button.append(badge);
  }
  const named = cluster.members.slice(0, mostNamed).map((index) => describe(entries[marks[index].entry]));
  button.setAttribute('aria-label', named.join('; ') + (count > mostNamed ? '; and ' + (count - mostNamed) + ' more' : ''));
  buttons.set(key, button);
  return button;
}

function pathOf(shape, className) {
  const path = document.createElementNS(svgSpace, 'path');
  path.setAttribute('d', shape);
  path.setAttribute('class', className);
  return path;
}
function describe(entry) {
  const rule = entry.rule === undefined ? '' : ', rule ' + entry.rule;
  return exact(entry.at) + ', ' + entry.node + ', ' + entry.event + ', class ' + entry.class + ': ' + entry.text + rule;
}

marksLayer.addEventListener('click', (event) => {
  const button = event.target.closest('.mark');
  if (!button) return;
  // One that stands for several opens them one after the other.
  const at = button.members.findIndex((index) => marks[index].entry === state.chosen);
  choose(marks[button.members[(at + 1) % button.members.length]].entry, { from: button, open: true });
});
marksLayer.addEventListener('focusin', (event) => {
  const button = event.target.closest('.mark');
  if (!button) return;
  focusedMark = button.members[0];
  tellMark(button);
});
marksLayer.addEventListener('focusout', hideTip);
marksLayer.addEventListener('pointerover', (event) => {
  const button = event.target.closest('.mark');
  if (button) tellMark(button);
});
marksLayer.addEventListener('pointerout', (event) => {
  if (!event.target.closest('.mark').contains(event.relatedTarget)) hideTip();
});

const tip = byId('tip');
const tipDistance = 15;
/** Says beside a mark, and in the status line, what it stands for. */
function tellMark(button) {
  const lines = button.members.slice(0, mostNamed).map((index) => {
    const entry = entries[marks[index].entry];
    return exact(entry.at) + ' · ' + entry.node + ' · ' + entry.event + ': ' + entry.text;
  });
  tell(lines[0]);
  const more = button.members.length - lines.length;
  tip.replaceChildren(...lines.map((line) => make('div', '', line)), ...(more > 0 ? [make('div', '', 'and ' + more + ' more')] : []));
  tip.hidden = false;
  const [x, y] = [parseFloat(button.style.left), parseFloat(button.style.top)];
  tip.style.left = Math.max(0, Math.min(x - tipDistance, state.width - tip.offsetWidth)) + 'px';
  const below = y + tipDistance;
  tip.style.top = (below + tip.offsetHeight <= plot.clientHeight ? below : Math.max(0, y - tipDistance - tip.offsetHeight)) + 'px';
}
function hideTip() {
  tip.hidden = true;
}
/** Tab goes on to marks that are not in view yet. */
marksLayer.addEventListener('keydown', (event) => {
  if (event.key !== 'Tab') return;
  const { members } = event.target.closest('.mark');
  const forward = !event.shiftKey;
  const last = marksLayer.lastElementChild;
  if (event.target !== (forward ? last : marksLayer.firstElementChild)) return;
  const next = nextMark(forward ? members[members.length - 1] : members[0], forward ? 1 : -1, (mark) => (forward ? mark.atMs > view.to : mark.atMs < view.from));
  if (next === null) return;
  event.preventDefault();
  const span = view.to - view.from;
  const at = marks[next].atMs;
  show(at - span * (forward ? 0.1 : 0.9), at + span * (forward ? 0.9 : 0.1));
  render();
  const holder = [...buttons.values()].find((button) => button.members.includes(next));
  if (holder) holder.focus({ preventScroll: true });
});

/** The next mark that is shown and fits, in this direction. */
function nextMark(from, by, fits = () => true) {
  for (let index = from + by; index >= 0 && index < marks.length; index += by) if (isShown(marks[index]) && fits(marks[index])) return index;
  return null;
}
`;
