/* lib.js - what is taken from others: htm with preact and its hooks, one file of the package htm, and uPlot. */
export { html, render, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback } from './standalone.module.js';
export { default as uPlot } from './uPlot.esm.js';
