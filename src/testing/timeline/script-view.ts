/** What is shown: the data, the part of the time axis in view, and times as text. */
export const viewScript: string = String.raw`
const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId('data').textContent);
const { entries } = data;
root.classList.add('js');

const lanes = data.groups.flatMap((group) => group.lanes.map((lane) => ({ ...lane, group: group.title })));
const shortestViewMs = 0.1;
const marginShare = 0.015;
const durationMs = data.endMs - data.startMs;
const margin = Math.max(durationMs * marginShare, 1);
const whole = { from: data.startMs - margin, to: data.endMs + margin };
const view = { ...whole };
const state = { chosen: null, pointerX: null, width: 1, words: [], scope: 'events', row: 0 };

const xOf = (at) => ((at - view.from) / (view.to - view.from)) * state.width;
const timeAt = (x) => view.from + (x / state.width) * (view.to - view.from);

/** Shows this part of time, kept within the whole. */
function show(from, to) {
  const span = Math.min(Math.max(to - from, shortestViewMs), whole.to - whole.from);
  const middle = (from + to) / 2;
  view.from = Math.min(Math.max(middle - span / 2, whole.from), whole.to - span);
  view.to = view.from + span;
  invalidate();
}
function zoom(factor, at) {
  show(at - (at - view.from) * factor, at + (view.to - at) * factor);
}
function pan(share) {
  const by = (view.to - view.from) * share;
  const kept = Math.min(Math.max(by, whole.from - view.from), whole.to - view.to);
  show(view.from + kept, view.to + kept);
}
/** Moves a moment into view where it is not. */
function reveal(at) {
  const span = view.to - view.from;
  if (at < view.from + span * 0.04 || at > view.to - span * 0.04) show(at - span / 2, at + span / 2);
}
/** Where keys zoom: at what was chosen, if it is in view. */
function anchor() {
  const at = state.chosen === null ? null : entries[state.chosen].at;
  return at !== null && at >= view.from && at <= view.to ? at : (view.from + view.to) / 2;
}

let pending = false;
function invalidate() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    render();
  });
}

const pad = (number, width) => String(Math.floor(number)).padStart(width, '0');
function digitsFor(stepMs) {
  return stepMs >= 1000 ? 0 : stepMs >= 100 ? 1 : stepMs >= 10 ? 2 : stepMs >= 1 ? 3 : stepMs >= 0.1 ? 4 : 5;
}
/** A moment, with as many digits as a step of the axis needs. */
function clockText(at, stepMs) {
  const digits = digitsFor(stepMs);
  const scale = 10 ** digits;
  const total = data.originMs + at;
  const sign = total < -1e-9 && data.axis === 'virtual' ? '−' : '';
  const units = Math.round((Math.abs(total) / 1000) * scale);
  const whole = Math.floor(units / scale);
  const fraction = digits === 0 ? '' : '.' + pad(units % scale, digits);
  const seconds = whole % 60;
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  if (data.axis === 'wall') return pad(hours % 24, 2) + ':' + pad(minutes, 2) + ':' + pad(seconds, 2) + fraction;
  if (hours > 0) return sign + hours + ':' + pad(minutes, 2) + ':' + pad(seconds, 2) + fraction;
  if (minutes > 0) return sign + minutes + ':' + pad(seconds, 2) + fraction;
  return sign + seconds + fraction + ' s';
}
const exact = (at) => clockText(at, 1);
function lastingText(ms) {
  if (ms < 1) return ms.toFixed(2) + ' ms';
  if (ms < 1000) return String(Math.round(ms)) + ' ms';
  if (ms < 60000) return (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + ' s';
  const minutes = Math.floor(ms / 60000);
  return minutes < 60 ? minutes + ' min ' + Math.round((ms % 60000) / 1000) + ' s' : Math.floor(minutes / 60) + ' h ' + (minutes % 60) + ' min';
}

/** The first index whose time is not before. */
function lowerBound(list, at, timeOf) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timeOf(list[middle]) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
`;
