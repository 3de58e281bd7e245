/** Draws the lanes, the axis and the overview. Dense lanes cost a pixel column each, however many entries they hold. */
export const canvasScript: string = String.raw`
const plot = byId('plot');
const textFont = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const toneNames = ['paper', 'surface', 'raised', 'ink', 'muted', 'line', 'border', 'focus', 'quiet', 'service', 'good', 'warn', 'bad', 'moved', 'on-tone'];
const tones = {};
const classTones = ['quiet', 'warn', 'moved', 'bad'];

function readTones() {
  const probe = document.createElement('span');
  document.body.append(probe);
  for (const name of toneNames) {
    probe.style.color = 'var(--' + name + ')';
    tones[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

/** A context over the whole canvas, sharp on every screen, and empty. */
function contextOf(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) {
    [canvas.width, canvas.height] = pixels;
    canvas.style.width = width + 'px';
    canvas.style.height = height + 'px';
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = textFont;
  context.textBaseline = 'middle';
  return context;
}

function slants(context, x, y, width, height, gap, rising) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.beginPath();
  const first = Math.floor((x - height) / gap) * gap;
  for (let at = first; at < x + width + height; at += gap) {
    context.moveTo(at, rising ? y + height : y);
    context.lineTo(at + height, rising ? y : y + height);
  }
  context.lineWidth = 1;
  context.stroke();
  context.restore();
}

/** One state as a shape; each form differs by more than its colour. */
const forms = {
  solid(context, x, y, width, height) {
    context.fillRect(x, y, width, height);
  },
  tint(context, x, y, width, height) {
    context.globalAlpha = 0.2;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 1;
    context.fillRect(x, y + height - 2, width, 2);
  },
  outline(context, x, y, width, height) {
    context.lineWidth = 1;
    context.globalAlpha = 0.65;
    context.strokeRect(x + 0.5, y + 0.5, Math.max(width - 1, 0), height - 1);
    context.globalAlpha = 1;
  },
  hatch(context, x, y, width, height) {
    context.globalAlpha = 0.13;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 0.6;
    slants(context, x, y, width, height, 7, true);
    context.globalAlpha = 1;
    context.fillRect(x, y + height - 2, width, 2);
  },
  cross(context, x, y, width, height) {
    context.globalAlpha = 0.13;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 0.6;
    slants(context, x, y, width, height, 8, true);
    slants(context, x, y, width, height, 8, false);
    context.globalAlpha = 1;
    context.fillRect(x, y, width, 2);
    context.fillRect(x, y + height - 2, width, 2);
  },
  dots(context, x, y, width, height) {
    context.globalAlpha = 0.1;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 0.75;
    for (let row = y + 3; row < y + height - 1; row += 5) for (let at = Math.ceil(x / 5) * 5; at < x + width - 1; at += 5) context.fillRect(at, row, 1.3, 1.3);
    context.globalAlpha = 1;
  },
  line(context, x, y, width, height) {
    context.fillRect(x, Math.round(y + height / 2) - 1, width, 2);
  },
  dashed(context, x, y, width, height) {
    const middle = Math.round(y + height / 2) - 1;
    for (let at = x; at < x + width; at += 8) context.fillRect(at, middle, Math.min(5, x + width - at), 2);
  },
  gap(context, x, y, width, height) {
    const middle = Math.round(y + height / 2);
    context.globalAlpha = 0.1;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 1;
    context.fillRect(x, y, 2, height);
    if (width > 6) context.fillRect(x + width - 2, y, 2, height);
    for (let at = x + 5; at < x + width - 5; at += 7) context.fillRect(at, middle - 0.5, 2, 1);
  },
};

const textWidths = new Map();
function widthOf(context, text) {
  if (!textWidths.has(text)) textWidths.set(text, context.measureText(text).width);
  return textWidths.get(text);
}

/** The label stands where the shape comes into view. */
function drawSpan(context, look, label, x, y, width, height) {
  context.fillStyle = context.strokeStyle = tones[look.tone];
  forms[look.form](context, x, y, width, height);
  const needed = widthOf(context, label);
  const labelX = Math.max(x, 0);
  if (label === '' || x + width - labelX < needed + 14) return;
  const middle = y + height / 2 + 0.5;
  if (look.form !== 'solid' && look.form !== 'outline' && look.form !== 'tint') {
    context.fillStyle = tones.surface;
    context.fillRect(labelX + 5, y + 1, needed + 6, height - (look.form === 'hatch' || look.form === 'cross' ? 3 : 2));
  }
  context.fillStyle = look.form === 'solid' ? tones['on-tone'] : look.form === 'line' || look.form === 'outline' ? tones.muted : tones.ink;
  context.fillText(label, labelX + 8, middle);
}

function drawSpans(context, lane, box) {
  const inset = lane.form === 'view' ? 4 : 3;
  const y = box.top + inset;
  const height = box.height - 2 * inset;
  let drawnTo = -1;
  for (let index = Math.max(0, lowerBound(lane.spans, view.from, (span) => span.toMs)); index < lane.spans.length; index++) {
    const span = lane.spans[index];
    if (span.fromMs > view.to) break;
    const left = Math.max(xOf(span.fromMs), -10);
    const right = Math.min(xOf(span.toMs), state.width + 10);
    // What is thinner than a pixel is drawn once a pixel.
    if (right <= drawnTo && right - left < 1) continue;
    drawnTo = Math.ceil(right);
    const look = data.looks[span.look];
    if (span.progress) drawProgress(context, span, look, y, height);
    const label = span.progress && right - left > 110 ? span.label + ' ' + Math.round(span.progress[span.progress.length - 1][1] * 100) + ' % in ' + lastingText(span.toMs - span.fromMs) : span.label;
    const shown = lane.form === 'view' && look.form === 'line' ? '' : label;
    if (span.progress) drawSpan(context, { form: 'outline', tone: look.tone }, shown, left, y, Math.max(right - left - 1, 1), height);
    else drawSpan(context, look, shown, left, y, Math.max(right - left - (look.form === 'line' ? 0 : 1), 1.5), height);
  }
}

/** How far it is, as a rising area. */
function drawProgress(context, span, look, y, height) {
  context.fillStyle = tones[look.tone];
  context.globalAlpha = 0.28;
  context.beginPath();
  context.moveTo(xOf(span.fromMs), y + height);
  for (const [at, fraction] of span.progress) context.lineTo(xOf(at), y + height - fraction * height);
  context.lineTo(xOf(span.toMs), y + height - span.progress[span.progress.length - 1][1] * height);
  context.lineTo(xOf(span.toMs), y + height);
  context.fill();
  context.globalAlpha = 1;
}

const columnPixels = 3;
/** Counts by column of pixels; the busiest column of the view is the tallest. */
function columnsOf(list, timeOf) {
  const columns = new Float64Array(Math.ceil(state.width / columnPixels) + 1);
  for (let index = lowerBound(list, view.from, timeOf); index < list.length; index++) {
    const at = timeOf(list[index]);
    if (at > view.to) break;
    columns[Math.floor(xOf(at) / columnPixels)] += 1;
  }
  return columns;
}

function drawColumns(context, columns, bottom, height, tone) {
  const busiest = columns.reduce((most, count) => Math.max(most, count), 1);
  context.fillStyle = tones[tone];
  columns.forEach((count, column) => {
    const tall = Math.max(2, (count / busiest) * height);
    if (count > 0) context.fillRect(column * columnPixels, bottom - tall, columnPixels - 1, tall);
  });
}

const tickTime = (tick) => tick.atMs;
function drawTicks(context, lane, box) {
  const tall = lane.form === 'traffic';
  drawColumns(context, columnsOf(lane.ticks, tickTime), box.top + box.height - 3, tall ? box.height - 8 : 6, tall ? 'service' : 'quiet');
}

const requestTime = (request) => request.fromMs;
const requestRows = 4;
const sparsePixels = 4;
for (const lane of lanes) {
  lane.answered = lane.requests.filter(({ outcome }) => outcome === 'acknowledged');
  lane.lost = lane.requests.filter(({ outcome }) => outcome !== 'acknowledged');
  lane.longest = lane.answered.reduce((longest, { fromMs, toMs }) => Math.max(longest, toMs - fromMs), 0);
}
function drawRequests(context, lane, box) {
  const first = lowerBound(lane.answered, view.from - lane.longest, requestTime);
  const last = lowerBound(lane.answered, view.to, requestTime);
  const freeAt = new Array(requestRows).fill(-Infinity);
  const rowHeight = (box.height - 8) / requestRows;
  if (last - first > state.width / sparsePixels) drawColumns(context, columnsOf(lane.answered, requestTime), box.top + box.height - 4, box.height - 8, 'service');
  else for (let index = first; index < last; index++) drawRequest(context, lane.answered[index], freeAt, box, rowHeight);
  for (const request of lane.lost) {
    if (request.fromMs > view.to || request.toMs < view.from) continue;
    drawRequest(context, request, freeAt, box, rowHeight);
    drawLost(context, request, box);
  }
}
function drawRequest(context, request, freeAt, box, rowHeight) {
  const left = xOf(request.fromMs);
  const right = Math.max(xOf(request.toMs), left + 2);
  let row = freeAt.findIndex((x) => x <= left);
  if (row < 0) row = freeAt.indexOf(Math.min(...freeAt));
  freeAt[row] = right + 1;
  context.fillStyle = tones[request.outcome === 'acknowledged' ? 'service' : request.outcome === 'failed' ? 'bad' : 'warn'];
  context.fillRect(left, box.top + 4 + row * rowHeight, right - left, Math.max(rowHeight - 1.5, 2));
}
/** A request that was never answered, or with an error, ends in a cross. */
function drawLost(context, request, box) {
  const x = Math.min(xOf(request.toMs), state.width + 20);
  const y = box.top + box.height / 2;
  context.strokeStyle = tones[request.outcome === 'failed' ? 'bad' : 'warn'];
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x - 3, y - 3);
  context.lineTo(x + 3, y + 3);
  context.moveTo(x + 3, y - 3);
  context.lineTo(x - 3, y + 3);
  context.stroke();
}
const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1.5e4, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5];
const tickPixels = 92;
function axisStep() {
  const wanted = ((view.to - view.from) / state.width) * tickPixels;
  return steps.find((step) => step >= wanted) ?? Math.ceil(wanted / 864e5) * 864e5;
}
/** Times on the axis, at round moments of the clock that it shows. */
function axisTimes(step) {
  const times = [];
  for (let at = Math.ceil((data.originMs + view.from) / step) * step - data.originMs; at <= view.to; at += step) times.push(at);
  return times;
}

function drawLanes(boxes, height) {
  const context = contextOf(byId('lanes'), state.width, height);
  context.fillStyle = tones.line;
  for (const box of boxes.groups) if (box.top > 0) context.fillRect(0, box.top, state.width, 1);
  context.globalAlpha = 0.8;
  for (const at of axisTimes(axisStep())) context.fillRect(Math.round(xOf(at)), 0, 1, height);
  context.globalAlpha = 1;
  lanes.forEach((lane, index) => {
    const box = boxes.lanes[index];
    if (lane.spans.length > 0) drawSpans(context, lane, box);
    if (lane.ticks.length > 0) drawTicks(context, lane, box);
    if (lane.requests.length > 0) drawRequests(context, lane, box);
    if (lane.form === 'marks') {
      context.fillStyle = tones.line;
      context.fillRect(0, Math.round(box.top + box.height / 2), state.width, 1);
    }
  });
}

function drawRuler() {
  const context = contextOf(byId('ruler'), state.width, 30);
  const step = axisStep();
  context.textAlign = 'center';
  for (const at of axisTimes(step)) {
    const x = Math.round(xOf(at));
    context.fillStyle = tones.border;
    context.fillRect(x, 24, 1, 6);
    context.fillStyle = tones.muted;
    context.fillText(clockText(at, step), x, 13);
  }
}

const overviewHeight = 32;
/** The whole of it: who served when, what happened, and which part is in view. */
function drawOverview() {
  const context = contextOf(byId('overview'), state.width, overviewHeight);
  const at = (time) => ((time - whole.from) / (whole.to - whole.from)) * state.width;
  context.fillStyle = tones.raised;
  context.fillRect(0, 0, state.width, overviewHeight);
  const nodes = lanes.filter((lane) => lane.label === 'state');
  nodes.forEach((lane, row) => {
    for (const span of lane.spans) {
      const tone = data.looks[span.look].tone;
      if (tone === 'quiet') continue;
      context.fillStyle = tones[tone];
      context.fillRect(at(span.fromMs), 14 + row * 8, Math.max(at(span.toMs) - at(span.fromMs), 1), 6);
    }
  });
  for (const mark of marks) {
    context.fillStyle = tones[mark.kind === 'fault' || mark.kind === 'broken' ? 'bad' : classTones[entries[mark.entry].class]];
    context.fillRect(at(mark.atMs), 3, 1.5, 8);
  }
  const left = at(view.from);
  const right = at(view.to);
  context.fillStyle = tones.surface;
  context.globalAlpha = 0.66;
  context.fillRect(0, 0, left, overviewHeight);
  context.fillRect(right, 0, state.width - right, overviewHeight);
  context.globalAlpha = 1;
  context.strokeStyle = tones.border;
  context.lineWidth = 1;
  context.strokeRect(Math.max(left, 0) + 0.5, 0.5, Math.max(Math.min(right, state.width) - Math.max(left, 0) - 1, 2), overviewHeight - 1);
}

function drawLegend() {
  for (const canvas of document.querySelectorAll('[data-look]')) {
    drawSpan(contextOf(canvas, 46, 20), data.looks[canvas.dataset.look], '', 1, 3, 44, 14);
  }
}
`;
