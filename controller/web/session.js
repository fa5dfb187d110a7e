/* session.js - log in, and prove it once more. A token goes into one request and is forgotten. */
import { confirm, login } from './api.js';
import { html, useState } from './lib.js';
import { Dialog, ProblemBox } from './parts.js';
import { t } from './text.js';

export function Login({ note, done }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const attempt = async (token) => {
    setBusy(true);
    setProblem(null);
    try {
      const session = await login(token);
      if (session) return done(session);
      setProblem(new Error(t('session_over')));
    } catch (p) {
      setProblem(p);
    }
    setBusy(false);
  };
  const submit = (e) => {
    e.preventDefault();
    const field = e.target.elements.token, token = field.value.trim();
    field.value = '';
    attempt(token);
  };
  return html`<main class="login">
    <div class="card">
      <h1>${t('title')}</h1><p class="muted">${t('log_in_about')}</p>
      ${note && html`<p role="status"><b>${note}</b></p>`}
      <${ProblemBox} problem=${problem} />
      <form onSubmit=${submit}>
        <label>${t('token')}<input type="password" name="token" required autofocus autocomplete="off" spellcheck=${false} aria-describedby="token-hint" /></label>
        <p id="token-hint" class="small muted">${t('token_hint')}</p>
        <div class="row"><button class="first" type="submit" disabled=${busy}>${t('log_in')}</button>
          <button type="button" disabled=${busy} onClick=${() => attempt(null)}>${t('with_certificate')}</button></div>
      </form>
    </div>
  </main>`;
}

/* `answer(true)`: it was proved, and what needed it goes on. */
export function Confirm({ by, answer }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e) => {
    e.preventDefault();
    const field = e.target.elements.token, token = field ? field.value.trim() : null;
    setBusy(true);
    try {
      await confirm(token);
      answer(true);
    } catch (p) {
      setProblem(p);
      setBusy(false);
      if (field) field.value = '';
    }
  };
  return html`<${Dialog} title=${t('prove')} onClose=${() => answer(false)}>
    <form onSubmit=${submit}>
      <p>${t('prove_why')}</p>
      <${ProblemBox} problem=${problem} />
      ${by === 'token' ? html`<label>${t('prove_token')}<input type="password" name="token" required autofocus autocomplete="off" spellcheck=${false} /></label>`
        : html`<p>${t('prove_certificate')}</p>`}
      <div class="row"><button class="first" type="submit" disabled=${busy}>${t('confirm')}</button>
        <button type="button" onClick=${() => answer(false)}>${t('cancel')}</button></div>
    </form>
  <//>`;
}
