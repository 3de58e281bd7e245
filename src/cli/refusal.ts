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
  handover: 'Wait until the resync is complete and both nodes are up.',
  alone: 'Make the peer reachable, or let an operator decide.',
};

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
  return (error.code === 'HM_REFUSED' && rule ? ruleRemedies[rule] : undefined) ?? error.remedy;
}
