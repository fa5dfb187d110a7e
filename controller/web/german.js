/* german.js - what the controller says in English, in German: by its code, by its sentence, or by its word. What has no German is given back as null, and is
 * then shown as it came. Values inside a sentence stay as they are. Never: words that people wrote. */
import { CONTROLLER_CODES } from './german_codes.js';
import { HOST_CODES } from './german_hosts.js';
import { REASONS, SAID } from './german_said.js';
import { EVENT_WORDS, FIELD_WORDS } from './german_words.js';
import { lang } from './text.js';

const german = () => lang() === 'de';

/* ---- codes ---- */

/* {what, same, next}: `same` is the English of `what`. Null for a code without German, and in English. */
export function codeWords(code) {
  const n = german() && /^VCC-(\d{4})$/.test(code || '') ? code.slice(4) : '';
  const row = n && (HOST_CODES[n] || CONTROLLER_CODES[n]);
  return row ? { what: row[0], same: row[1], next: row[2] } : null;
}

/* ---- sentences ---- */

const CACHED = 2000;
const PLACE = { '{#}': '(-?\\d+)', '{}': '(.+?)' };
let whole = null, patterns = null; /* made when the first German page asks */
const known = new Map();

/* A pattern without places is found at once, the others are tried in their order. */
function prepare() {
  whole = new Map([...Object.values(HOST_CODES), ...Object.values(CONTROLLER_CODES)].map(([de, en]) => [en, de]));
  patterns = [];
  for (const [en, de] of [...SAID, ...Object.entries(REASONS)]) {
    if (!en.includes('{')) whole.set(en, de);
    else patterns.push([new RegExp('^' + en.split(/(\{#?\})/).map((part) => PLACE[part] || part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('') + '$', 's'), de]);
  }
}

function find(text) {
  if (whole.has(text)) return whole.get(text);
  for (const [pattern, de] of patterns) {
    const found = pattern.exec(text);
    if (found) return found.slice(1).reduce((said, value) => said.replace('{}', () => inner(value)), de);
  }
  return null;
}

/* A value may be a sentence itself: the cause behind a count. */
const inner = (value) => whole.get(value) || value;

/* "web.service: it is on a read-only file system": what comes before is a name or a sentence of its own. */
function parts(text) {
  const at = text.indexOf(': ');
  if (at < 0) return null;
  const left = find(text.slice(0, at)), right = told(text.slice(at + 2));
  return left === null && right === null ? null : `${left || text.slice(0, at)}: ${right || text.slice(at + 2)}`;
}

function told(text) {
  const said = find(text);
  return said === null ? parts(text) : said;
}

/* The sentence in German, or null. */
export function sentence(text) {
  if (!german() || !text) return null;
  if (!whole) prepare();
  if (!known.has(text)) {
    if (known.size >= CACHED) known.clear();
    known.set(text, told(text));
  }
  return known.get(text);
}

/* The reason of a record where nobody gave one, in German, or null. */
export const givenReason = (text) => (german() && Object.hasOwn(REASONS, text) ? REASONS[text] : null);

/* ---- words ---- */

const spaced = (name) => name.replaceAll('_', ' ');
const wordOf = (table, name) => (german() && Object.hasOwn(table, name) ? table[name] : spaced(name));

export const eventWord = (name) => wordOf(EVENT_WORDS, name);
export const fieldWord = (name) => wordOf(FIELD_WORDS, name);

const SELECTED = { service: 'Dienst', template: 'Vorlage', agent: 'Host', pattern: 'Muster' };

/* "service web, type t" */
export function selectorWords(text) {
  if (!german()) return text;
  return text.replace(/^everything/, 'alles').replace(/^(\d+) named/, '$1 genannte').replace(/^(service|template|agent|pattern) /, (all, kind) => SELECTED[kind] + ' ').replace(/, type (\S+)$/, ', Vorlage $1');
}
