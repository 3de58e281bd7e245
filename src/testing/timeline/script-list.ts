/** The entries as a list, of which only what is in view exists, and the details of the one that was chosen. */
export const listScript: string = String.raw`
const list = byId('entries');
const details = byId('details');
const rowHeight = 44;
const spareRows = 4;
let rows = [];
let opener = null;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const haystacks = new Array(entries.length);
/** Whether every word of the filter is in what an entry says. */
function matches(index) {
  const entry = entries[index];
  haystacks[index] ??= [entry.event, entry.node, entry.mirror ?? '', entry.rule ?? '', entry.text].join(' ').toLowerCase();
  return state.words.every((word) => haystacks[index].includes(word));
}
const inScope = (entry) => state.scope === 'all' || (state.scope === 'marked' ? entry.kind !== undefined : !entry.traffic);

const inOrder = entries.map((entry, index) => index).sort((one, other) => entries[one].at - entries[other].at || one - other);
function fillList() {
  rows = inOrder.filter((index) => inScope(entries[index]) && matches(index));
  byId('count').textContent = rows.length + ' of ' + entries.length;
  state.row = Math.max(0, rows.indexOf(state.chosen));
  drawList();
}

function drawList() {
  const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - spareRows);
  const last = Math.min(rows.length, Math.ceil((list.scrollTop + list.clientHeight) / rowHeight) + spareRows);
  const sizer = make('div', 'sizer');
  sizer.style.height = rows.length * rowHeight + 'px';
  list.replaceChildren(sizer, ...rows.slice(first, last).map((index, offset) => rowOf(index, first + offset)));
  const active = byId('row' + rows[state.row]);
  if (active) list.setAttribute('aria-activedescendant', active.id);
  else list.removeAttribute('aria-activedescendant');
}

function rowOf(index, place) {
  const entry = entries[index];
  const row = make('div', 'entry');
  row.id = 'row' + index;
  row.dataset.row = String(place);
  row.setAttribute('role', 'option');
  row.setAttribute('aria-posinset', String(place + 1));
  row.setAttribute('aria-setsize', String(rows.length));
  row.setAttribute('aria-selected', String(index === state.chosen));
  row.style.top = place * rowHeight + 'px';
  const top = make('div', 'top');
  top.append(make('span', '', exact(entry.at)), make('span', 'name', entry.node + ' · ' + entry.event));
  if (entry.class > 0) top.append(make('span', 'class' + entry.class, 'class ' + entry.class));
  if (entry.rule !== undefined) top.append(make('span', 'rule', entry.rule));
  row.append(top, make('div', '', entry.text));
  return row;
}

function scrollToRow(place) {
  const top = place * rowHeight;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight;
}

/** Chooses an entry: marks it in the chart and in the list, and shows its details. */
function choose(index, { from = null, open = false } = {}) {
  state.chosen = index;
  if (from) opener = from;
  reveal(entries[index].at);
  const wasHidden = details.hidden;
  fillDetails(index);
  details.hidden = false;
  byId('side').classList.add('opened');
  const place = rows.indexOf(index);
  if (place >= 0) {
    state.row = place;
    if (from === list) scrollToRow(place);
    else list.scrollTop = (place + 0.5) * rowHeight - list.clientHeight / 2;
  }
  drawList();
  invalidate();
  if (open || wasHidden) details.scrollTop = 0;
  if (open) details.focus({ preventScroll: true });
}

function close() {
  if (details.hidden) return false;
  const hadFocus = details.contains(document.activeElement);
  details.hidden = true;
  byId('side').classList.remove('opened');
  state.chosen = null;
  drawList();
  render();
  if (hadFocus) (opener && opener.isConnected ? opener : plot).focus({ preventScroll: true });
  return true;
}

function fillDetails(index) {
  const entry = entries[index];
  const place = markAt.get(index) ?? null;
  const bar = make('nav');
  bar.append(make('span', '', place === null ? 'entry ' + (index + 1) + ' of ' + entries.length : 'mark ' + (place + 1) + ' of ' + marks.length));
  bar.append(stepButton('previous', '‹', index, -1), stepButton('next', '›', index, 1));
  const closing = make('button', '', '×');
  closing.type = 'button';
  closing.setAttribute('aria-label', 'Close the details');
  closing.addEventListener('click', close);
  bar.append(closing);
  const where = [exact(entry.at), entry.node, ...(entry.mirror === undefined ? [] : ['mirror ' + entry.mirror])].join(' · ');
  const about = make('p', 'where', where + ' · ');
  about.append(make('span', 'tag class' + entry.class, 'class ' + entry.class + ': ' + data.classWords[entry.class]));
  const parts = [bar, make('h2', '', entry.event), about, make('p', 'say', entry.text)];
  if (entry.rule !== undefined) parts.push(ruleOf(entry.rule));
  parts.push(evidenceTable(entry));
  details.replaceChildren(...parts);
}

function stepButton(name, sign, index, by) {
  const button = make('button', '', sign);
  button.type = 'button';
  button.setAttribute('aria-label', name + ' mark');
  const at = markAt.get(index);
  const next = at === undefined ? besides(index, by) : nextMark(at, by);
  button.disabled = next === null;
  button.addEventListener('click', () => {
    choose(marks[next].entry);
    const again = [...details.querySelectorAll('button')].find((each) => each.getAttribute('aria-label') === name + ' mark');
    (again.disabled ? details : again).focus({ preventScroll: true });
  });
  return button;
}
/** The mark before or after an entry that has none. */
function besides(index, by) {
  const place = lowerBound(marks, entries[index].at, (mark) => mark.atMs);
  return by > 0 ? nextMark(place - 1, 1) : nextMark(place, -1);
}

function ruleOf(name) {
  const box = make('p', 'cited');
  box.append(make('b', '', name), document.createTextNode(data.rules[name] ?? 'This version has no such rule.'));
  return box;
}

function evidenceTable(entry) {
  const table = make('table', 'evidence');
  table.append(make('caption', '', 'evidence'));
  const body = make('tbody');
  const facts = Object.entries(entry.evidence ?? {});
  for (const [name, value] of [...facts, ['time', entry.time], ['seq', entry.seq]]) {
    const row = make('tr');
    const head = make('th', '', name);
    head.scope = 'row';
    row.append(head, make('td', '', typeof value === 'string' ? value : JSON.stringify(value, null, 1)));
    body.append(row);
  }
  table.append(body);
  return table;
}

list.addEventListener('scroll', drawList);
list.addEventListener('click', (event) => {
  const row = event.target.closest('.entry');
  if (row) choose(rows[Number(row.dataset.row)], { from: list });
});
list.addEventListener('keydown', (event) => {
  const page = Math.max(1, Math.floor(list.clientHeight / rowHeight) - 1);
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length };
  if (event.key === 'Enter' && rows.length > 0) choose(rows[state.row], { from: list, open: true });
  else if (Object.hasOwn(moves, event.key) && rows.length > 0) {
    state.row = Math.min(Math.max(state.row + moves[event.key], 0), rows.length - 1);
    scrollToRow(state.row);
    choose(rows[state.row], { from: list });
  } else return;
  event.preventDefault();
  event.stopPropagation();
});
`;
