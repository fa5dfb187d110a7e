/* route.js - the address of a view: "#/certificates/web-1?status=expiring" and back. The part behind # never leaves the browser. */
import { useLayoutEffect, useState } from './lib.js';

/* {path: ["certificates", "web-1"], args: {status: "expiring"}} */
export function parse(hash) {
  const [path, query] = hash.replace(/^#?\/?/, '').split('?', 2);
  let parts = [];
  try {
    parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = ['not-found'];
  }
  return { path: parts, args: Object.fromEntries(new URLSearchParams(query || '')) };
}

/* The address of a view; arguments without a value are left out. */
export function to(parts, args = {}) {
  const query = new URLSearchParams(Object.entries(args).filter(([, v]) => v !== '' && v !== null && v !== undefined)).toString();
  return '#/' + [].concat(parts).map(encodeURIComponent).join('/') + (query ? '?' + query : '');
}

export function go(parts, args) {
  location.hash = to(parts, args);
}

/* The same view with other arguments, without a new step for the browser's way back. */
export function refine(parts, args) {
  history.replaceState(null, '', to(parts, args));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

export function useRoute() {
  const [route, set] = useState(parse(location.hash));
  useLayoutEffect(() => { /* before anybody can change the address */
    const changed = () => set(parse(location.hash));
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}
