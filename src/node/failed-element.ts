import { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import type { MirrorStatus, NodeStatus } from './control-protocol.ts';

/** Refusals whose usual remedy is to wait, or to move the service, which mends no disk. */
const elementRules: ReadonlySet<Rule> = new Set([
  'handover',
  'recover.ready',
  'write.error',
  'takeover.uptodate',
  'boot.uptodate',
] satisfies Rule[]);

const replaced =
  'replace the disk, or bring back its NBD server, run `hotmirror init --force --blank --yes` on it and start it: it is filled';

/** What leads out where this element has failed; null: it has not. Pure. */
export function ownElementRemedy({ element, peerElement }: Pick<MirrorStatus, 'element' | 'peerElement'>, serving: boolean): string | null {
  if (element !== 'failed') return null;
  if (serving) return `Run \`hotmirror switchover\`. Then stop this node, ${replaced}.`;
  // With this one stopped nobody else can serve; only then does an empty element lose nothing.
  const other =
    '; where the other node does not serve, run `hotmirror fallback --force --yes` there (`recover` where that is the home primary)';
  return `No waiting and no order mends it: stop this node${peerElement === 'uptodate' ? '' : other}. Then ${replaced}.`;
}

/** What leads out where the other node's element has failed, and this one's has not; null: it is not so. Pure. */
export function peerElementRemedy({ element, peerElement }: Pick<MirrorStatus, 'element' | 'peerElement'>): string | null {
  if (peerElement !== 'failed' || element === 'failed') return null;
  return `No waiting and no order mends the other node's element: stop that node, ${replaced}.`;
}

/** Gives a refusal that a failed element is behind the remedy that works; any other error is given back as it is. */
export function withElementRemedy(error: unknown, { serving, mirrors }: Pick<NodeStatus, 'serving' | 'mirrors'>): unknown {
  if (!(error instanceof HotMirrorError) || error.code !== 'HM_REFUSED' || error.details?.['remedy'] !== undefined) return error;
  if (!elementRules.has(error.rule as Rule)) return error;
  // Served through the other node, the service can be moved there once that is ready, as the remedy of the rule says.
  const [remedy] = mirrors.flatMap((mirror) => peerElementRemedy(mirror) ?? (serving ? null : ownElementRemedy(mirror, serving)) ?? []);
  if (remedy === undefined) return error;
  const { code, message, rule, details, cause } = error;
  return new HotMirrorError(code, message, { cause, ...(rule === undefined ? {} : { rule }), details: { ...details, remedy } });
}
