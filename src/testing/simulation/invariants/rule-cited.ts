import type { Rule } from '../../../rules.ts';
import { rules } from '../../../rules.ts';
import type { SimulationEntry } from '../entry.ts';
import { nodeNames } from '../steps.ts';
import type { PairView, Watcher, WatcherFactory } from '../watcher.ts';

/** Events that tell a decision. */
const decisions: ReadonlySet<string> = new Set([
  'takeover:decided',
  'takeover:blocked',
  'takeover:aborted',
  'alone:decided',
  'boot:decided',
  'lineage:decided',
  'epoch:refused',
  'split:detected',
]);

/** What begins the names of the events after which a node may be blocked by something else. */
const blocking: ReadonlySet<string> = new Set([
  'takeover',
  'alone',
  'boot',
  'split',
  'service',
  'handover',
  'order',
  'record',
  'node',
  'operator',
]);

class RuleCited implements Watcher {
  readonly invariant = 'rule-cited';
  #look = false;
  #broken: string | null = null;

  entry(entry: SimulationEntry): void {
    const { event, node, rule, text } = entry;
    if (blocking.has(event.slice(0, event.indexOf(':')))) this.#look = true;
    if (isDecision(entry) && !isRule(rule)) this.#broken ??= `${event} of ${node} cites ${rule ?? 'no rule'}: ${text}`;
  }

  check(view: PairView): string | null {
    if (!this.#look) return this.#broken;
    this.#look = false;
    for (const node of nodeNames) {
      for (const { rule, because } of view.nodes[node].failover?.blockedBy ?? [])
        if (!isRule(rule)) this.#broken ??= `${node} is blocked by ${String(rule)}, which is no rule: ${because}`;
    }
    return this.#broken;
  }
}

function isDecision({ event, evidence }: SimulationEntry): boolean {
  return decisions.has(event) || (event === 'operator:answered' && evidence?.['code'] === 'HM_REFUSED');
}

function isRule(name: string | undefined): name is Rule {
  return name !== undefined && Object.hasOwn(rules, name);
}

/** Every decision and every refusal of an order names the rule that made it, and there is such a rule. */
export const ruleCited: WatcherFactory = () => new RuleCited();
