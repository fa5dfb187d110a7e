/* once.js - what is asked for in a dialog is done once, however often it is pressed. Who opens it anew means another act: what was done may be undone
 * meanwhile. */

/* Of the dialog that is open, by what was asked for: the key that it was sent with, until an answer says what became of it. */
let keys = null, dialogs = 0;

/* Gives what closes it. One that opens above another is part of it. */
export function dialogOpen() {
  if (dialogs++ === 0) keys = new Map();
  return () => { if (--dialogs === 0) keys = null; };
}

/* {key, repeats: is it the same when it is pressed again?, settled: call it when an answer came}. */
export function actKey(what) {
  const mine = keys || new Map(), key = mine.get(what) || crypto.randomUUID();
  mine.set(what, key);
  return { key, repeats: keys !== null, settled: () => mine.delete(what) };
}
