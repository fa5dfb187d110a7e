/* api.js - asks the admin API, as every other client does: same routes, same rights, same refusals.
 * The cookie goes by itself; the header token, which no other page can read, is kept in memory alone. */

/* How long an answer may take: of what is shown less than the pause between two looks of live.js, so that no look ends the one before unheard; what is done,
 * planned or worked out over everything takes longer. */
const SHOWN_MS = 8000, DONE_MS = 60000;

let answered = null;
let headerToken = null;
let onOver = () => {};
let onConfirm = async () => false;

/* When the controller answered last, whatever it said; null = it has not. */
export const answeredAt = () => answered;

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || String(status));
    this.status = status;
    this.body = body;
  }
}

/* `over`: the session is no more. `confirm`: asks a person to prove who it is; true = it was proved. */
export function listen(over, confirm) {
  onOver = over;
  onConfirm = confirm;
}

function failed(e, limit) {
  if (e.name === 'AbortError') return e;
  const seconds = e.name === 'TimeoutError' ? limit / 1000 : null;
  return new Problem(0, { code: '', title: seconds ? 'unanswered' : 'unreachable', detail: '', unreachable: true, seconds });
}

/* One signal of both; `stop` ends the deadline, for what goes on. */
function deadline(signal, limit) {
  const abort = new AbortController(), timer = setTimeout(() => abort.abort(new DOMException('', 'TimeoutError')), limit);
  return { signal: signal ? AbortSignal.any([signal, abort.signal]) : abort.signal, stop: () => clearTimeout(timer) };
}

/* By hand: a person asked for it, so the session was used. What a page asks by itself does not keep a session alive. */
async function send(method, path, { body, byHand = true, bearer, signal, key, accept, raw, slow, endless } = {}) {
  const headers = {}, limit = method !== 'GET' || slow || raw ? DONE_MS : SHOWN_MS;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (headerToken && (byHand || method !== 'GET')) headers['X-Vcc-Session'] = headerToken;
  if (bearer) headers.Authorization = 'Bearer ' + bearer;
  if (key) headers['Idempotency-Key'] = key;
  Object.assign(headers, accept);
  const until = deadline(signal, limit);
  try {
    const answer = await fetch('/api/v1/' + path, { method, headers, signal: until.signal, cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body) });
    answered = Date.now();
    if (endless && answer.ok) return answer;
    const text = await answer.text(); /* the whole of it by then */
    return new Response(text === '' ? null : text, { status: answer.status, headers: answer.headers });
  } catch (e) {
    throw failed(e, limit);
  } finally {
    until.stop();
  }
}

async function read(answer, raw) {
  if (raw && answer.ok) return answer.text();
  const type = answer.headers.get('content-type') || '';
  const body = type.includes('json') ? await answer.json() : {};
  if (answer.ok) return body;
  throw new Problem(answer.status, body.code ? body : { code: '', title: String(answer.status), detail: '' });
}

async function ask(method, path, options = {}) {
  try {
    return await read(await send(method, path, options), options.raw);
  } catch (e) {
    if (!(e instanceof Problem)) throw e;
    if (e.status === 401 && !options.bearer && headerToken) {
      headerToken = null;
      onOver();
    }
    if (e.body.code === 'VCC-3168' && await onConfirm(e)) return read(await send(method, path, options), options.raw);
    throw e;
  }
}

export const get = (path, options) => ask('GET', path, options);

/* An answer as the text that came, for a file of somebody's. */
export const text = (path) => ask('GET', path, { raw: true });

/* Repeated by the browser or by somebody in doubt it is done once. */
export const post = (path, body = {}, options = {}) => ask('POST', path, { ...options, body, key: crypto.randomUUID() });

/* An endless answer, for live.js. */
export async function open(path, options) {
  const answer = await send('GET', path, { ...options, byHand: false, endless: true });
  if (!answer.ok) await read(answer);
  return answer.body;
}

/* ---- session ---- */

/* Whoever has a session is told its header token; null = nobody is logged in. */
export async function resume() {
  const session = await read(await send('GET', 'session', { byHand: false }));
  headerToken = session.header_token;
  return session.principal ? session : null;
}

/* Without a token: by the client certificate that the browser shows. */
export async function login(token) {
  headerToken = null;
  await read(await send('POST', 'session', { body: {}, bearer: token }));
  return resume();
}

export async function confirm(token) {
  return read(await send('POST', 'session/confirm', { body: {}, bearer: token }));
}

export async function logout() {
  try {
    await read(await send('POST', 'session/logout', { body: {} }));
  } finally {
    headerToken = null;
  }
}
