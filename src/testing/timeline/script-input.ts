/** Pointer, keys and buttons, and the one place that draws everything. */
export const inputScript: string = String.raw`
const labels = byId('labels');
const zoomStep = 1.5;
const clickPixels = 4;
let boxes = { lanes: [], groups: [] };
let bodyHeight = 0;

/** The labels are laid out by the browser; the lanes stand beside them. */
function measure() {
  const box = (element) => ({ top: element.offsetTop, height: element.offsetHeight });
  boxes = { lanes: [...labels.querySelectorAll('.lane')].map(box), groups: [...labels.querySelectorAll('h2')].map(box) };
  bodyHeight = labels.offsetHeight;
  state.width = Math.max(plot.clientWidth, 1);
  invalidate();
}

function render() {
  drawLanes(boxes, bodyHeight);
  drawRuler();
  drawOverview();
  const found = clusters();
  drawMarkWords(boxes, found);
  layoutMarks(boxes, found);
  const chosen = byId('chosen');
  chosen.hidden = state.chosen === null;
  if (state.chosen !== null) chosen.style.left = xOf(entries[state.chosen].at) + 'px';
  drawCursor();
}

function drawCursor() {
  const shown = state.pointerX !== null;
  byId('cursor').hidden = byId('chip').hidden = !shown;
  if (!shown) return;
  const at = timeAt(state.pointerX);
  byId('cursor').style.left = state.pointerX + 'px';
  const chip = byId('chip');
  const step = ((view.to - view.from) / state.width) * 2;
  const since = state.chosen === null ? 0 : at - entries[state.chosen].at;
  const distance = state.chosen === null ? '' : '  ' + (since < 0 ? '−' : '+') + lastingText(Math.abs(since));
  chip.textContent = clockText(at, Math.max(step, 1)) + distance;
  const half = chip.offsetWidth / 2;
  chip.style.left = Math.min(Math.max(state.pointerX, half), state.width - half) + 'px';
}

function tell(text) {
  byId('hover').textContent = text;
}

/** The state or request under the pointer. */
function under(x, y) {
  const row = boxes.lanes.findIndex(({ top, height }) => y >= top && y < top + height);
  if (row < 0) return null;
  const lane = lanes[row];
  const at = timeAt(x);
  const slack = timeAt(3) - timeAt(0);
  const span = lane.spans[lowerBound(lane.spans, at, (each) => each.toMs)];
  const first = lowerBound(lane.answered, at - lane.longest - slack, requestTime);
  const near = [...lane.answered.slice(first, lowerBound(lane.answered, at + slack, requestTime)), ...lane.lost];
  const request = near.findLast(({ fromMs, toMs }) => fromMs - slack <= at && at <= toMs + slack);
  if (request) return { lane, what: entries[request.entry].text + ' · ' + request.outcome, ...request };
  const tick = lane.ticks[lowerBound(lane.ticks, at - slack, tickTime)];
  if (tick && tick.atMs <= at + slack) return { lane, what: entries[tick.entry].text, fromMs: tick.atMs, toMs: tick.atMs, entry: tick.entry };
  return span && span.fromMs <= at ? { lane, what: span.label, ...span } : null;
}
function tellUnder(x, y) {
  const found = under(x, y);
  if (!found) {
    tell('');
    return;
  }
  const lasted = found.toMs > found.fromMs ? ' for ' + lastingText(found.toMs - found.fromMs) : '';
  tell(found.lane.group + ' · ' + found.lane.label + ': ' + found.what + lasted + ', from ' + exact(found.fromMs));
}

let drag = null;
plot.addEventListener('pointerdown', (event) => {
  if (event.button !== 0 || event.target.closest('.mark')) return;
  drag = { x: event.clientX, from: view.from, to: view.to, moved: false };
  plot.setPointerCapture(event.pointerId);
});
plot.addEventListener('pointermove', (event) => {
  const box = plot.getBoundingClientRect();
  state.pointerX = event.clientX - box.left;
  if (drag) {
    const by = event.clientX - drag.x;
    drag.moved ||= Math.abs(by) >= clickPixels;
    if (drag.moved) {
      plot.classList.add('dragging');
      const span = drag.to - drag.from;
      const from = Math.min(Math.max(drag.from - (by / state.width) * span, whole.from), whole.to - span);
      show(from, from + span);
    }
  } else if (!event.target.closest('.mark')) tellUnder(state.pointerX, event.clientY - box.top);
  drawCursor();
});
plot.addEventListener('pointerup', (event) => {
  const box = plot.getBoundingClientRect();
  const found = drag && !drag.moved ? under(event.clientX - box.left, event.clientY - box.top) : null;
  drag = null;
  plot.classList.remove('dragging');
  if (found) choose(found.entry, { from: plot });
});
plot.addEventListener('pointercancel', () => {
  drag = null;
  plot.classList.remove('dragging');
});
plot.addEventListener('pointerleave', () => {
  state.pointerX = null;
  drawCursor();
});
plot.addEventListener('wheel', (event) => {
  event.preventDefault();
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / state.width);
  else zoom(2 ** (Math.max(-240, Math.min(240, event.deltaY)) / 240), timeAt(event.clientX - plot.getBoundingClientRect().left));
}, { passive: false });

const overview = byId('overview');
function lookAt(event) {
  const at = whole.from + ((event.clientX - overview.getBoundingClientRect().left) / state.width) * (whole.to - whole.from);
  const half = (view.to - view.from) / 2;
  show(at - half, at + half);
}
overview.addEventListener('pointerdown', (event) => {
  overview.setPointerCapture(event.pointerId);
  lookAt(event);
});
overview.addEventListener('pointermove', (event) => {
  if (event.buttons & 1) lookAt(event);
});

const legend = byId('legend');
function toggleLegend(open) {
  legend.hidden = !open;
  byId('legend-toggle').setAttribute('aria-expanded', String(open));
  if (open) {
    drawLegend();
    legend.focus();
  } else byId('legend-toggle').focus();
}
byId('legend-toggle').addEventListener('click', () => toggleLegend(legend.hidden));
byId('zoom-in').addEventListener('click', () => zoom(1 / zoomStep, anchor()));
byId('zoom-out').addEventListener('click', () => zoom(zoomStep, anchor()));
byId('zoom-all').addEventListener('click', () => show(whole.from, whole.to));

const dark = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : dark.matches);
function themed() {
  byId('theme').textContent = isDark() ? 'Light' : 'Dark';
  byId('theme').setAttribute('aria-label', (isDark() ? 'Light' : 'Dark') + ' colours');
  readTones();
  if (!legend.hidden) drawLegend();
  invalidate();
}
byId('theme').addEventListener('click', () => {
  root.dataset.theme = isDark() ? 'light' : 'dark';
  themed();
});
dark.addEventListener('change', themed);

byId('filter').addEventListener('input', (event) => {
  state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  list.scrollTop = 0;
  fillList();
  invalidate();
});
for (const scope of document.querySelectorAll('[name=scope]')) {
  scope.addEventListener('change', () => {
    state.scope = scope.value;
    fillList();
  });
}

for (const jump of document.querySelectorAll('.jumps button')) {
  jump.addEventListener('click', () => choose(Number(jump.dataset.entry), { from: jump, open: true }));
}

const keys = {
  ArrowLeft: (event) => pan(event.shiftKey ? -0.5 : -0.1),
  ArrowRight: (event) => pan(event.shiftKey ? 0.5 : 0.1),
  '+': () => zoom(1 / zoomStep, anchor()),
  '=': () => zoom(1 / zoomStep, anchor()),
  '-': () => zoom(zoomStep, anchor()),
  Home: () => show(whole.from, whole.to),
};
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    if (!legend.hidden) toggleLegend(false);
    else close();
    return;
  }
  const typing = event.target instanceof HTMLInputElement;
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key](event);
});

byId('duration').textContent = lastingText(durationMs);
new ResizeObserver(measure).observe(plot);
new ResizeObserver(drawList).observe(list);
new ResizeObserver(measure).observe(labels);
themed();
measure();
fillList();
`;
