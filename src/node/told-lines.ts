import type { LoggedEvent } from './control-protocol.ts';

/** What ends a worry that a line before has told. */
const allClear: ReadonlySet<string> = new Set([
  'writes:resumed',
  'resync:finished',
  'service:started',
  'element:attached',
  'server:returned',
  'export:ready',
  'tls:ready',
  'tls:renewed',
  'health:changed',
  'peer-health:changed',
  'config:agrees',
]);
/** What comes again with every attempt to connect. */
const ofAttempts: ReadonlySet<string> = new Set(['lineage:decided', 'link:refused']);

/**
 * Which events a node in the foreground tells its operator: those of class 1 and above, and what ends a worry. What each attempt to connect finds is told when it
 * is new.
 */
export function toldLines(): (event: Pick<LoggedEvent, 'event' | 'class' | 'text' | 'mirror' | 'evidence'>) => string | null {
  const lastOf = new Map<string, string>();
  const withoutExport = new Set<string>();
  return ({ event, class: eventClass, text, mirror = '', evidence }) => {
    if (event === 'export:failed') withoutExport.add(mirror);
    // Each service opens it; that ends a worry only after a failure.
    const isBack = event === 'export:opened' && withoutExport.delete(mirror);
    if (eventClass === 0 && !isBack && !allClear.has(event)) return null;
    // The log counts what goes on; here it was said.
    if (ofAttempts.has(event) && evidence?.['repeats'] !== undefined) return null;
    const line = `class ${String(eventClass)}: ${event}: ${text}`;
    const about = `${event} ${mirror}`;
    if (ofAttempts.has(event) && lastOf.get(about) === line) return null;
    lastOf.set(about, line);
    return line;
  };
}
