import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { ElementStore } from '../../../src/mirror/element-store.ts';
import { PreImageLog } from '../../../src/mirror/pre-image-log.ts';
import { tellStory } from './crash-run.ts';
import type { CrashStory } from './crash-story.ts';

/** Where the compiled mirror lies, beside the compiled tests. */
const mirrorDirectory = new URL('../../../src/mirror/', import.meta.url);
/** A call by which something of a mirror becomes durable, or is on its way there, as the code writes it. */
const durableCall =
  /\b(?:store\.(?:update|grow|persistDirty)|this\.persistDirty|device\.write(?:Zeroes)?|io\.write|ElementStore\.create|log\.(?:add|finish)|PreImageLog\.create)\(/u;
const framesToLookAt = 60;
const firstPageBytes = 32_768;

/** A call in the source of a mirror: file and line as they were compiled, and the code there. */
export interface DurableSite {
  readonly place: string;
  readonly code: string;
}

/** Every such call that the source has. */
export function durableSites(): readonly DurableSite[] {
  const files = readdirSync(fileURLToPath(mirrorDirectory)).filter((file) => file.endsWith('.js'));
  return files.flatMap((file) =>
    readFileSync(new URL(file, mirrorDirectory), 'utf8')
      .split('\n')
      .map((code, index) => ({ place: `${file}:${String(index + 1)}`, code: code.trim() }))
      .filter(({ code }) => durableCall.test(code) && !code.startsWith('*') && !code.startsWith('//')),
  );
}

/** Tells stories, and says which places of the compiled mirror led to a write of a disk in them. */
export async function placesReached(stories: readonly CrashStory[]): Promise<ReadonlySet<string>> {
  const reached = new Set<string>();
  const note = (): void => {
    for (const place of placesOnStack()) reached.add(place);
  };
  let pageWrites = 0;
  const persistDirty: (this: ElementStore) => Promise<void> = Reflect.get(ElementStore.prototype, 'persistDirty');
  const undo = [
    ...(['update', 'grow'] as const).map((name) => watch(ElementStore.prototype, name, note)),
    ...(['add', 'finish'] as const).map((name) => watch(PreImageLog.prototype, name, note)),
    watch(PreImageLog, 'create', note),
    watch(ElementStore, 'create', note),
    () => void (ElementStore.prototype.persistDirty = persistDirty),
  ];
  // Most often nothing has changed.
  ElementStore.prototype.persistDirty = function (this: ElementStore): Promise<void> {
    const places = placesOnStack();
    const before = pageWrites;
    const persisted = persistDirty.call(this);
    const written = (): void => {
      if (pageWrites > before) for (const place of places) reached.add(place);
    };
    persisted.then(written, written);
    return persisted;
  };
  try {
    for (const story of stories) {
      await tellStory(story, ({ disk, offsetBytes }) => {
        if (disk === 'metadata' && offsetBytes >= firstPageBytes) pageWrites += 1;
        note();
      });
    }
  } finally {
    for (const restore of undo) restore();
  }
  return reached;
}

/** Calls back before each call of a method; returns how to end that. */
function watch<Name extends string>(owner: Record<Name, (...parameters: never[]) => unknown>, name: Name, called: () => void): () => void {
  const method = owner[name];
  owner[name] = function (this: unknown, ...parameters: never[]): unknown {
    called();
    return method.apply(this, parameters);
  };
  return () => {
    owner[name] = method;
  };
}

/** The places of the compiled mirror in which something is being called now; whatever source maps there are. */
function placesOnStack(): readonly string[] {
  const prepareStackTrace: typeof Error.prepareStackTrace = Reflect.get(Error, 'prepareStackTrace');
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = framesToLookAt;
  Error.prepareStackTrace = (_error, frames) => frames.map((frame) => `${frame.getFileName() ?? ''}:${String(frame.getLineNumber())}`);
  const stack = new Error().stack as unknown as readonly string[];
  Error.prepareStackTrace = prepareStackTrace;
  Error.stackTraceLimit = stackTraceLimit;
  return stack.filter((place) => place.startsWith(mirrorDirectory.href)).map((place) => place.slice(mirrorDirectory.href.length));
}
