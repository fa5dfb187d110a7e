/* keys.js - the keyboard: "/" searches, "g" and a letter goes somewhere, "?" shows them all. Never while somebody types. */
import { go } from './route.js';

export const GOES = [
  ['o', ['overview']], ['z', ['certificates']], ['c', ['campaigns']], ['f', ['approvals']], ['h', ['agents']], ['t', ['targets']],
  ['d', ['services']], ['v', ['templates']], ['k', ['crypto']], ['s', ['ca']], ['b', ['reports']], ['p', ['audit']], ['n', ['notices']], ['w', ['principals']],
];

let after = 0;

const typing = (e) => e.target.closest && e.target.closest('input, textarea, select, [contenteditable], dialog');

export function listenKeys(help) {
  const pressed = (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || typing(e)) return;
    const there = Date.now() - after < 1500 && GOES.find(([key]) => key === e.key);
    after = 0;
    if (there) {
      e.preventDefault();
      go(there[1]);
    } else if (e.key === 'g') {
      after = Date.now();
    } else if (e.key === '/') {
      e.preventDefault();
      document.getElementById('search').focus();
    } else if (e.key === '?') {
      e.preventDefault();
      help();
    }
  };
  addEventListener('keydown', pressed);
  return () => removeEventListener('keydown', pressed);
}
