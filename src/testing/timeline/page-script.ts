import { canvasScript } from './script-canvas.ts';
import { inputScript } from './script-input.ts';
import { listScript } from './script-list.ts';
import { marksScript } from './script-marks.ts';
import { viewScript } from './script-view.ts';

/**
 * The program of the page, as text: it runs in browsers, whose types this package does not have, and must reach them as it is written,
 * which a function that was compiled or instrumented would not.
 */
export const pageScript: string = `'use strict';
(() => {
${viewScript}
${canvasScript}
${marksScript}
${listScript}
${inputScript}
})();
`;
