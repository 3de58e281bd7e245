import type { InitializeHook, LoadHook } from 'node:module';

import type { ReplacedModule } from './mutant.ts';

/** Hooks of Node.js's module loader: the given modules take the place of the files. */
let replaced: ReadonlyMap<string, string> = new Map();

export const initialize: InitializeHook<readonly ReplacedModule[]> = (modules) => {
  replaced = new Map(modules.map(({ url, source }) => [url, source]));
};

export const load: LoadHook = (url, context, nextLoad) => {
  const source = replaced.get(url);
  return source === undefined ? nextLoad(url, context) : { format: 'module', source, shortCircuit: true };
};
