/* campaigns.js - the list of campaigns, and where new ones begin: a bulk renewal, an emergency, a drill. */
import { Bulk } from './bulk.js';
import { usePages } from './data.js';
import { Drill } from './drill.js';
import { Emergency } from './emergency.js';
import { selectorWords } from './german.js';
import { html, useState } from './lib.js';
import { CampaignState, CopyAs, LongList, ProblemBox, When } from './parts.js';
import { to } from './route.js';
import { number, t, word } from './text.js';

const row = (c) => [
  [html`<a href=${to(['campaigns', c.campaign_id])}><b>${word('kind_of_', c.kind)}</b></a> <span class="muted small" title=${selectorWords(c.selector)}>${selectorWords(c.selector)}</span>`],
  [html`<${CampaignState} status=${c.status} />`], [c.total_certificates === 0 && c.completed_at ? t('progress_none') : t('progress_of', { done: number(c.successful_count), total: number(c.total_certificates) })],
  [c.requester, true], [html`<${When} at=${c.created_at} />`],
];

/* dialog, permission, text of its button */
const BEGINS = { bulk: [Bulk, 'certificate:bulk', 'bulk_new', ''], drill: [Drill, 'certificate:emergency', 'drill_new', ''], emergency: [Emergency, 'certificate:emergency', 'emergency_new', 'danger'] };

export function Campaigns({ me }) {
  const [open, setOpen] = useState(null);
  const list = usePages('campaigns', ({ event }) => /campaign|emergency|drill/.test(event));
  const Begin = open && BEGINS[open][0];
  return html`<div class="head"><h1>${t('campaigns')}</h1><div class="row push">${Object.entries(BEGINS).filter(([, [, permission]]) => me.permissions.includes(permission)).map(([name, [, , text, kind]]) =>
      html`<button class=${kind} onClick=${() => setOpen(name)}>${t(text)}</button>`)}</div></div>
    ${Begin && html`<${Begin} me=${me} close=${() => setOpen(null)} />`}<${ProblemBox} problem=${list.problem} />
    ${!list.busy && list.rows.length === 0 && !list.problem ? html`<p class="card">${t('no_campaigns')}</p>`
      : html`<${LongList} label=${t('campaigns')} kind="runs" top=${[t('campaign'), t('status'), t('progress'), t('actor'), t('begun')]} rows=${list.rows} row=${row} more=${list.more} busy=${list.busy} />`}
    <${CopyAs} vccctl=${['campaign', 'list']} path="campaigns" />`;
}
