import type { ErrorCode } from '../errors.ts';
import type { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import { rules } from '../rules.ts';
import type { ExitCode } from './command.ts';
import { exitCodes } from './command.ts';

const codes: Readonly<Partial<Record<ErrorCode, ExitCode>>> = {
  HM_USAGE: exitCodes.usage,
  HM_CONFIG: exitCodes.usage,
  HM_NO_NODE: exitCodes.noNode,
  HM_REFUSED: exitCodes.refused,
  HM_KEY_MISSING: exitCodes.refused,
  HM_KEY_INVALID: exitCodes.refused,
  HM_METADATA_EXISTS: exitCodes.refused,
  HM_SPLIT_BRAIN: exitCodes.refused,
  HM_UNRELATED: exitCodes.refused,
  HM_BOTH_BLANK: exitCodes.refused,
  HM_NO_DIRECTION: exitCodes.refused,
};

/** What an operator can do about a rule that refuses a wish. */
const ruleRemedies: Readonly<Partial<Record<Rule, string>>> = {
  'takeover.auto': 'Switch to `hotmirror control auto`, or run `hotmirror fallback --force --yes`.',
  'takeover.dead': 'The peer still answers or was never seen: use `hotmirror switchover`, or stop the peer first.',
  'takeover.uptodate':
    'Wait until `hotmirror status` shows the element as uptodate, or accept an older state with `hotmirror fallback --force --yes`.',
  'takeover.verified': 'Repair the findings of the last verify, or override with `hotmirror fallback --force --yes`.',
  'takeover.arbiter': 'Make the arbiter reachable, or override with `--override takeover.arbiter` when the peer certainly serves no more.',
  'takeover.fence': 'Switch the peer off by hand, then override with `--override takeover.fence`.',
  'recover.ready': 'Start the home primary and wait until `hotmirror status` shows it as up and its element as healthy.',
  'lineage.split': 'Name the survivor: `hotmirror resolve MIRROR --survivor NODE`; nothing is copied before.',
  'lineage.resolve':
    'Look at `hotmirror status` of both nodes and name the survivor anew. A node that is to give way must not serve: stop it, let the other take over with `hotmirror fallback --force --yes` (`recover` where that is the home primary), and start it again.',
  'lineage.unrelated': 'Check that both nodes use the same configuration and the right devices.',
  'element.off': 'Run `hotmirror switchover` first: a node serves from its own element.',
  handover:
    'Wait until both nodes are up and the resync is complete. Where the node that serves is dead, take over from it: `hotmirror fallback`, or `hotmirror recover --force --yes` where it is the home standby.',
  alone: 'Make the peer reachable, or let an operator decide: `hotmirror resume --yes` where this node is the last owner.',
  'boot.conflict': 'Name the node whose word counts: `hotmirror resolve MIRROR --survivor NODE`; neither serves before.',
  'boot.alone':
    'Start the other node. Where it is gone, run `hotmirror resume --yes` on the node that served last, or `hotmirror fallback --force --yes` (`recover` where this is the home primary).',
  'boot.norecord': 'Start the other node, which knows who served last; a node without a pair record never serves alone.',
  'boot.uptodate': 'Start the other node and wait for the resync, or accept an older state with `hotmirror fallback --force --yes`.',
  'node.leave': 'Start the other node again, or move the service with `hotmirror fallback`.',
  'write.both': 'Wait until `hotmirror status` shows the element of the other node as uptodate.',
  'write.error':
    'Where the node of the failed disk serves, run `hotmirror switchover`. Then stop that node, replace the disk, run `hotmirror init --force --blank --yes` on it and start it: it is filled.',
  'lineage.decide': 'Wait until `hotmirror status` shows the data link as connected.',
  verify: 'Wait until `hotmirror status` shows the data link as connected and no resync.',
  'lineage.grow': 'Wait until `hotmirror status` shows the element of the other node as uptodate.',
};

/** What an operator can do about this rule; undefined where that depends on the case. */
export function remedyOfRule(rule: string): string | undefined {
  return Object.hasOwn(ruleRemedies, rule) ? ruleRemedies[rule as Rule] : undefined;
}

/** The exit code for an error. */
export function exitCodeOf(error: HotMirrorError): ExitCode {
  return codes[error.code] ?? (error.rule === undefined ? exitCodes.failed : exitCodes.refused);
}

/** What an error prints: what happened, its code, the rule where one refused, and the remedy; with `json` as one line of JSON. */
export function describeError(error: HotMirrorError, { json }: { readonly json: boolean }): string {
  const { code, message } = error;
  const rule = ruleOf(error);
  const remedy = remedyOf(error, rule);
  if (json) return `${JSON.stringify({ code, message, ...(rule ? { rule } : {}), remedy })}\n`;
  const [first = '', ...more] = message.split('\n');
  const lines = [
    `hotmirror: ${more.length === 0 ? first : ['', first, ...more].join('\n  ')}`,
    `code: ${code}`,
    ...(rule ? [`rule: ${rule}: ${rules[rule]}`] : []),
    `remedy: ${remedy}`,
  ];
  return `${lines.join('\n')}\n`;
}

function ruleOf({ rule }: HotMirrorError): Rule | null {
  return rule !== undefined && Object.hasOwn(rules, rule) ? (rule as Rule) : null;
}

function remedyOf(error: HotMirrorError, rule: Rule | null): string {
  const given = error.details?.['remedy'];
  if (typeof given === 'string') return given;
  return (error.code === 'HM_REFUSED' && rule ? remedyOfRule(rule) : undefined) ?? error.remedy;
}
