/* chart.js - numbers over time as a picture, in the colours of the page, with a table of the same numbers for whoever cannot see it. Lines and bars
 * differ by their form, not by colour alone. Never: asking the API. */
import { html, uPlot, useEffect, useRef, useState } from './lib.js';
import { Wide } from './parts.js';
import { number, t } from './text.js';

const HEIGHT = 220;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const PATHS = { bars: () => uPlot.paths.bars({ size: [0.7, 40] }), steps: () => uPlot.paths.stepped({ align: 1 }) };

function seriesOf(s) {
  const paint = colour(s.colour);
  return { label: s.name, stroke: paint, width: s.kind === 'bars' ? 1 : 2, fill: s.kind === 'bars' ? paint : undefined, dash: s.dash, paths: PATHS[s.kind](), points: { show: false } };
}

function optionsOf({ x, series, xText, width, point }) {
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 }, font: '12px system-ui, sans-serif' };
  return {
    width, height: HEIGHT, legend: { show: false }, scales: { x: { time: false, range: [x[0] - 0.5 * (x[1] - x[0]), x[x.length - 1] + 0.5 * (x[1] - x[0])] }, y: { range: (u, low, high) => [0, Math.max(1, high * 1.05)] } },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } }, hooks: { setCursor: [(u) => point(u.cursor.idx ?? null)] },
    axes: [{ ...axis, space: 70, values: (u, splits) => splits.map(xText) }, { ...axis, size: 50, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000], values: (u, splits) => splits.map((n) => number(n)) }],
    series: [{}, ...series.map(seriesOf)],
  };
}

/* How wide there is room, and which appearance is shown: what a picture has to be drawn anew for. */
function useRoom(ref) {
  const [room, setRoom] = useState({ width: 0, theme: '' });
  useEffect(() => {
    const look = () => ref.current && setRoom((r) => {
      const next = { width: Math.floor(ref.current.clientWidth), theme: document.documentElement.dataset.theme };
      return r.width === next.width && r.theme === next.theme ? r : next;
    });
    const sizes = new ResizeObserver(look), themes = new MutationObserver(look);
    sizes.observe(ref.current);
    themes.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    look();
    return () => { sizes.disconnect(); themes.disconnect(); };
  }, []);
  return room;
}

/* `x`: ascending numbers, at least two; `series`: {name, values, kind: bars | steps, colour, dash}; `rows`: which places the table has; `nameOf`: what a
 * place is called in full. */
export function Chart({ label, x, series, xText, nameOf, rows, top }) {
  const ref = useRef(), room = useRoom(ref);
  const [at, setAt] = useState(null);
  useEffect(() => {
    if (room.width < 100) return undefined;
    const plot = new uPlot(optionsOf({ x, series, xText, width: room.width, point: setAt }), [x, ...series.map((s) => s.values)], ref.current);
    return () => plot.destroy();
  }, [room, JSON.stringify([x, series])]);
  const told = at !== null && at < x.length ? `${nameOf(at)}: ${series.map((s) => `${s.name} ${number(s.values[at])}`).join(', ')}` : '';
  return html`<div class="key">${series.map((s) => html`<span class="row"><span class=${'mark ' + s.kind + ' ' + s.colour.slice(2)} aria-hidden="true"></span>${s.name}</span>`)}</div>
    <div class="chart" ref=${ref} role="img" aria-label=${label}></div><p class="muted small told">${told || t('chart_point')}</p>
    <details><summary>${t('as_table')}</summary><${Wide} label=${label}><table><caption>${label}</caption><thead><tr><th>${top}</th>${series.map((s) => html`<th class="right">${s.name}</th>`)}</tr></thead>
      <tbody>${rows.map((i) => html`<tr><th scope="row">${nameOf(i)}</th>${series.map((s) => html`<td class="right">${number(s.values[i])}</td>`)}</tr>`)}
        ${rows.length === 0 && html`<tr><td colspan=${1 + series.length}>${t('none')}</td></tr>`}</tbody></table><//></details>`;
}
