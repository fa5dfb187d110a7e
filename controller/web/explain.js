/* explain.js - what a code of ours means, as `vccctl explain` says it. */
import { get } from './api.js';
import { useData } from './data.js';
import { html } from './lib.js';
import { CopyAs, NextStep, ProblemBox, Told } from './parts.js';
import { t } from './text.js';

export function Explain({ id }) {
  const { data, problem } = useData((o) => get('errors/' + encodeURIComponent(id), o), id, () => false);
  return html`<div class="head"><h1>${t('explain_title', { code: id })}</h1></div><${ProblemBox} problem=${problem} />
    ${data && html`<div class="card"><dl class="facts"><dt>${t('error')}</dt><dd><${Told} code=${data.code} text=${data.what} /></dd><dt>${t('next_step')}</dt><dd><${NextStep} code=${data.code} text=${data.next} /></dd>
      <dt>${t('explain_kind')}</dt><dd>${t('kind_' + data.kind)}</dd></dl></div>`}
    ${data && html`<${CopyAs} vccctl=${['explain', id]} path=${'errors/' + encodeURIComponent(id)} />`}`;
}
