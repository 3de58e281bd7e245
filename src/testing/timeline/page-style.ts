/** The style of the page. Colours are pairs for light and dark; text reaches 4.5:1 and shapes 3:1 on what they stand. */
export const pageStyle: string = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#f6f6f4, #121417);
  --surface: light-dark(#ffffff, #191c20);
  --raised: light-dark(#f0f1ef, #22262b);
  --ink: light-dark(#1c2024, #e8eaed);
  --muted: light-dark(#5a626b, #9ca5af);
  --line: light-dark(#e2e4e1, #2a2f35);
  --border: light-dark(#7c838a, #6e7781);
  --focus: light-dark(#0a4bb8, #9cc4ff);
  --quiet: light-dark(#78818a, #8b949e);
  --service: light-dark(#1f5fc4, #6ca4f8);
  --good: light-dark(#1c7c50, #53bd88);
  --warn: light-dark(#8c5d06, #d9a740);
  --bad: light-dark(#c0272d, #fb7b72);
  --moved: light-dark(#6b3fb5, #b899f2);
  --on-tone: light-dark(#ffffff, #10141a);
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  --labels: 176px;
  font: 13px/1.45 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif;
  font-variant-numeric: tabular-nums;
}
:root[data-theme='light'] { color-scheme: light; }
:root[data-theme='dark'] { color-scheme: dark; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html, body { margin: 0; background: var(--paper); color: var(--ink); }
h1, h2, h3, p, dl, dd, ul { margin: 0; padding: 0; }
button, input { font: inherit; color: inherit; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
.mono { font-family: var(--mono); font-size: 12px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 8px; top: 8px; z-index: 9; background: var(--surface); padding: 6px 10px; }

.app { display: none; }
.js .app { display: grid; grid-template: auto minmax(0, 1fr) auto / minmax(0, 1fr) 372px; height: 100vh; height: 100dvh; }
header { grid-column: 1 / -1; display: flex; align-items: center; gap: 10px 20px; padding: 9px 16px; background: var(--surface); border-bottom: 1px solid var(--line); flex-wrap: wrap; }
h1 { font-size: 15px; font-weight: 650; letter-spacing: -0.005em; }
.titles { flex: 1 1 220px; min-width: 0; }
.note { color: var(--muted); overflow-wrap: anywhere; }
.summary { display: flex; gap: 4px 18px; flex-wrap: wrap; }
.summary div { display: flex; flex-direction: column-reverse; }
.summary dt { color: var(--muted); font-size: 11px; line-height: 1.2; }
.summary dd { font-weight: 600; line-height: 1.3; }
.summary .alarm dd, .summary .alarm dt { color: var(--bad); }
.tools { display: flex; gap: 6px; align-items: center; }
.tools button, .details nav button { background: var(--surface); border: 1px solid var(--border); border-radius: 6px; min-width: 28px; height: 28px; padding: 0 9px; cursor: pointer; }
button:hover { background: var(--raised); }
button[aria-expanded='true'] { background: var(--raised); }

.chart { overflow: auto; position: relative; background: var(--surface); min-width: 0; overscroll-behavior: contain; scrollbar-gutter: stable; }
.head { position: sticky; top: 0; z-index: 4; display: grid; grid-template-columns: var(--labels) minmax(0, 1fr); background: var(--surface); border-bottom: 1px solid var(--line); }
.corner { padding: 6px 12px 0 16px; color: var(--muted); font-size: 11px; display: flex; flex-direction: column; justify-content: space-between; padding-bottom: 4px; }
.axis { position: relative; height: 82px; overflow: hidden; }
.axis canvas, .plot canvas { position: absolute; inset: 0; display: block; }
#overview { height: 32px; bottom: auto; cursor: grab; }
#ruler { top: 52px; height: 30px; pointer-events: none; }
.key { position: absolute; top: 33px; left: 0; right: 0; height: 18px; padding: 0 8px; display: flex; gap: 12px; align-items: center; font-size: 11px; color: var(--muted); white-space: nowrap; overflow: hidden; }
.key span { display: flex; gap: 5px; align-items: center; }
.key i { background: currentColor; } .key .tick { width: 2px; height: 9px; } .key .bar { width: 14px; height: 6px; }
.key .quiet { color: var(--quiet); } .key .service { color: var(--service); } .key .warn { color: var(--warn); } .key .moved { color: var(--moved); } .key .bad { color: var(--bad); }
.body { display: grid; grid-template-columns: var(--labels) minmax(0, 1fr); position: relative; }
.labels { position: relative; background: var(--surface); border-right: 1px solid var(--line); padding-bottom: 16px; }
.labels h2 { font-size: 12px; font-weight: 650; height: 28px; padding: 8px 12px 0 16px; border-top: 1px solid var(--line); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.labels section:first-child h2 { border-top: 0; }
.lane { padding: 0 12px 0 16px; color: var(--muted); font-size: 12px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; display: flex; align-items: center; }
.lane.marks { height: 26px; } .lane.state { height: 23px; } .lane.detail { height: 20px; } .lane.view { height: 18px; padding-left: 28px; font-size: 11px; } .lane.traffic { height: 26px; }
.plot { position: relative; overflow: hidden; cursor: crosshair; touch-action: pan-y; }
.plot.dragging { cursor: grabbing; }
.plot:focus-visible { outline-offset: -2px; }
#marks { position: absolute; inset: 0; pointer-events: none; }
.mark { position: absolute; pointer-events: auto; width: 24px; height: 24px; margin: -12px 0 0 -12px; border: 0; padding: 0; background: none; border-radius: 6px; cursor: pointer; display: grid; place-items: center; color: var(--muted); }
.mark:hover { background: none; }
.mark svg { width: 15px; height: 15px; overflow: visible; stroke: var(--surface); stroke-width: 1.5; fill: currentColor; }
.mark.refusal svg { fill: var(--surface); stroke: currentColor; stroke-width: 2; }
.mark .glyph { fill: none; stroke: var(--surface); stroke-width: 1.3; stroke-linecap: round; stroke-linejoin: round; }
.mark.refusal .glyph { stroke: currentColor; }
.mark:hover svg, .mark:focus-visible svg { scale: 1.25; }
.mark[aria-pressed='true'] { background: color-mix(in srgb, currentColor 22%, transparent); }
.mark b { position: absolute; left: 16px; top: 0; min-width: 14px; padding: 0 3px; border-radius: 7px; background: var(--surface); border: 1px solid currentColor; font: 600 9px/12px system-ui, sans-serif; text-align: center; }
.class1 { color: var(--warn); } .class2 { color: var(--moved); } .class3, .broken { color: var(--bad); } .fault { color: var(--bad); } .order { color: var(--service); } .class0.decision, .class0.refusal { color: var(--muted); }
.order.class3 { color: var(--bad); }
.line { position: absolute; top: 0; bottom: 0; width: 1px; pointer-events: none; }
#cursor { background: var(--muted); opacity: 0.55; }
#chosen { background: var(--focus); width: 2px; margin-left: -1px; opacity: 0.7; }
.chip { position: absolute; bottom: 2px; transform: translateX(-50%); padding: 0 6px; border-radius: 4px; background: var(--ink); color: var(--surface); font-size: 11px; line-height: 17px; white-space: pre; pointer-events: none; }
.tip { position: absolute; z-index: 3; max-width: min(440px, 100%); padding: 5px 9px; border-radius: 6px; background: var(--ink); color: var(--surface); font-size: 12px; line-height: 1.4; pointer-events: none; overflow-wrap: anywhere; }
.status { grid-column: 1; display: flex; gap: 16px; align-items: center; height: 28px; padding: 0 16px; border-top: 1px solid var(--line); background: var(--surface); color: var(--muted); font-size: 12px; white-space: nowrap; overflow: hidden; }
#hover { flex: 1 1 auto; overflow: hidden; text-overflow: ellipsis; color: var(--ink); }
.keys { font-size: 11px; overflow: hidden; text-overflow: ellipsis; flex: 0 1 auto; }
kbd { font: inherit; border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 3px; padding: 0 4px; }

.side { grid-row: 2 / span 2; grid-column: 2; display: flex; flex-direction: column; min-height: 0; border-left: 1px solid var(--line); background: var(--paper); }
.find { display: grid; gap: 8px; padding: 10px 12px; border-bottom: 1px solid var(--line); background: var(--surface); }
.find input[type='search'] { width: 100%; height: 30px; padding: 0 10px; border: 1px solid var(--border); border-radius: 6px; background: var(--paper); }
.find input::placeholder { color: var(--muted); opacity: 1; }
.scopes { display: flex; gap: 4px; align-items: center; border: 0; margin: 0; padding: 0; min-width: 0; }
.scopes label { display: flex; gap: 4px; align-items: center; padding: 1px 8px 1px 4px; cursor: pointer; }
.scopes input { accent-color: var(--service); margin: 0; }
.jumps { display: flex; gap: 6px; align-items: center; color: var(--muted); font-size: 12px; }
.jumps button { background: var(--surface); border: 1px solid var(--border); border-radius: 6px; height: 26px; padding: 0 9px; cursor: pointer; color: var(--ink); }
#count { margin-left: auto; color: var(--muted); font-size: 12px; }
#entries { flex: 1 1 0; min-height: 72px; overflow: auto; position: relative; }
#entries:focus-visible { outline-offset: -2px; }
.entry { position: absolute; left: 0; right: 0; height: 44px; padding: 4px 12px 4px 10px; border-left: 3px solid transparent; border-bottom: 1px solid var(--line); cursor: pointer; overflow: hidden; }
.entry:hover { background: var(--raised); }
.entry[aria-selected='true'] { background: var(--raised); border-left-color: var(--focus); }
.entry div { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.entry .top { display: flex; gap: 8px; font-size: 11px; color: var(--muted); }
.entry .top .name { color: inherit; } .entry .top .rule { margin-left: auto; }
.tag { display: inline-block; border: 1px solid currentColor; border-radius: 4px; padding: 0 5px; font-size: 11px; line-height: 16px; }

.details { flex: 0 1 auto; max-height: 62%; overflow: auto; padding: 12px 14px 14px; background: var(--surface); border-bottom: 1px solid var(--line); }
.details nav { display: flex; gap: 6px; align-items: center; margin-bottom: 8px; }
.details nav span { color: var(--muted); font-size: 12px; margin-right: auto; }
.details h2 { font: 600 13px/1.4 var(--mono); }
.details .where { color: var(--muted); margin-top: 1px; }
.details .say { margin: 8px 0; font-size: 14px; line-height: 1.45; overflow-wrap: anywhere; }
.cited { margin: 8px 0; padding: 7px 10px; border-left: 3px solid var(--service); background: var(--raised); border-radius: 0 6px 6px 0; }
.cited b { font: 600 12px/1.4 var(--mono); display: block; }
.evidence { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 12px; }
.evidence caption { text-align: left; color: var(--muted); font-size: 11px; padding: 4px 0 2px; }
.evidence th { text-align: left; font-weight: 500; color: var(--muted); width: 34%; padding: 3px 8px 3px 0; vertical-align: top; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.evidence td { padding: 3px 0; border-top: 1px solid var(--line); font-family: var(--mono); overflow-wrap: anywhere; white-space: pre-wrap; }

.legend { position: fixed; right: 12px; top: 60px; z-index: 8; width: min(560px, calc(100vw - 24px)); max-height: calc(100vh - 80px); overflow: auto; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; box-shadow: 0 12px 40px rgb(0 0 0 / 0.22); }
.legend h2 { font-size: 13px; margin-bottom: 6px; } .legend h3 { font-size: 11px; color: var(--muted); font-weight: 600; margin: 10px 0 4px; }
.legend ul { list-style: none; display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 3px 14px; }
.legend li { display: flex; gap: 9px; align-items: center; font-size: 12px; line-height: 1.3; }
.legend canvas { width: 46px; height: 20px; flex: none; } .legend .mark { position: static; margin: 0 11px; flex: none; pointer-events: none; }

.record { padding: 16px; max-width: 1200px; margin: 0 auto; }
.js .record { display: none; }
.record table { border-collapse: collapse; width: 100%; margin-top: 12px; } .record th, .record td { text-align: left; vertical-align: top; padding: 5px 10px 5px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.record pre { margin: 0; white-space: pre-wrap; font: 12px/1.4 var(--mono); }

@media (max-width: 1000px) {
  :root { --labels: 136px; }
  .js .app { grid-template: auto minmax(0, 1.35fr) auto minmax(0, 1fr) / minmax(0, 1fr); }
  .side { grid-row: 4; grid-column: 1; border-left: 0; border-top: 1px solid var(--line); }
  .side.opened { display: grid; grid-template: auto minmax(0, 1fr) / minmax(0, 1fr) minmax(0, 1fr); }
  .side.opened .details { grid-row: 1 / span 2; max-height: none; border-bottom: 0; border-right: 1px solid var(--line); }
  .find { padding: 7px 12px; grid-template-columns: minmax(0, 1fr) auto; } .find input[type='search'] { grid-column: 1 / -1; }
  .keys, .note { display: none; }
  header { padding: 7px 12px; } .corner { padding-left: 12px; } .labels h2, .lane { padding-left: 12px; padding-right: 6px; } .lane.view { padding-left: 20px; }
  .summary { gap: 4px 14px; } .titles { flex-basis: 160px; }
}
@media print { .js .app { display: none; } .js .record { display: block; } }
`;
