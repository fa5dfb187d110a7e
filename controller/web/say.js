/* say.js - the live region: what a screen reader is told of what changed, at most every five seconds. */
const PAUSE_MS = 5000;
let last = 0, waiting = null, timer = null;

function put() {
  timer = null;
  last = Date.now();
  document.getElementById('said').textContent = waiting;
}

/* `now`: an answer to what a person did, told at once. */
export function say(text, now = false) {
  waiting = text;
  if (timer !== null) clearTimeout(timer);
  timer = setTimeout(put, now ? 0 : Math.max(0, last + PAUSE_MS - Date.now()));
}
