import type { HotMirrorError } from '../errors.ts';
import type { Agreement } from './handshake.ts';
import type { SyncDecision } from './lineage.ts';
import { groundsOf } from './mirror-events.ts';
import type { ReplicationHost } from './replication-options.ts';

/** What a mirror tells of its data link, in words. */
type Teller = Pick<ReplicationHost, 'emit'>;

/** The handshake decided that nothing is copied. */
export function tellRefusal(host: Teller, decision: Extract<SyncDecision, { kind: 'refuse' }>, error: HotMirrorError): void {
  host.emit('lineage:decided', decision.outcome === 'standalone' ? 1 : 3, `nothing is copied: ${decision.because}`, {
    rule: decision.rule,
    evidence: { code: error.code, outcome: decision.outcome },
  });
}

/** The handshake decided who copies what to whom. */
export function tellAgreement(host: Teller, { rule, because, source, target, scope }: Agreement): void {
  host.emit('lineage:decided', 0, `${source} is the source of ${target} (copy: ${scope}): ${because}`, {
    rule,
    evidence: { source, target, scope },
  });
}

/** The connection has ended, in its handshake or after it. */
export function tellLoss(host: Teller, connected: boolean, error: HotMirrorError | null): void {
  const because = error ? error.message : 'closed in order';
  if (connected) host.emit('link:lost', 1, `the data link is lost: ${because}`, groundsOf(error));
  else host.emit('link:refused', 1, `the data link ended during its handshake: ${because}`, groundsOf(error));
}
