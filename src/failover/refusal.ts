import { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import type { Block } from './takeover.ts';

/** A refusal by a rule. */
export function refusal(rule: Rule, because: string): HotMirrorError {
  return new HotMirrorError('HM_REFUSED', `${rule}: ${because}`, { rule });
}

/** A refusal by one or more rules; names the first and lists all. */
export function refusalBy(blocks: readonly [Block, ...Block[]]): HotMirrorError {
  const [first] = blocks;
  return new HotMirrorError('HM_REFUSED', blocks.map(({ rule, because }) => `${rule}: ${because}`).join('; '), {
    rule: first.rule,
    details: { blockedBy: blocks },
  });
}
