import { withEpoch } from '../../../src/failover/pair-record.ts';
import type { PairRecord } from '../../../src/failover/pair-record.ts';
import type { Epoch } from '../../../src/epoch.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import type { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import type { MirrorProtocol } from '../../../src/mirror/options.ts';
import type { ElementState } from '../../../src/vocabulary.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import { CrashNodes, firstRecord, nodes } from './crash-nodes.ts';

const salvageFile = 'salvage';

/** As much of an orchestrator and of an operator as a story needs: it keeps the rules of semantics 5 to 9 and writes the pair record before it orders what depends on it. */
export abstract class CrashOrders extends CrashNodes {
  /** Whose element an operator let survive a split. */
  readonly survivors = new Set<NodeName>();

  /** A node is about to take over, and may lose so many bytes; to be called once it serves. */
  protected abstract takesOver(node: NodeName, force: boolean): () => void;

  /** Everything acknowledged before now is durable on both elements when that is called. */
  protected abstract covers(node: NodeName): () => void;

  /** Writes `record` of a node, then gives the order that it allows. */
  async order(
    node: NodeName,
    change: (record: PairRecord) => PairRecord,
    order: (mirror: MirrorLink) => Promise<unknown>,
    what: string,
  ): Promise<void> {
    const process = this.processes[node];
    if (!process) throw new Error(`${node} does not run`);
    this.tell(`${what} on ${node}`);
    const given = async (): Promise<void> => {
      const record = this.record(node) ?? firstRecord();
      const changed = change(record);
      if (changed !== record) await process.records.write(changed);
      if (process.alive) await order(process.mirror);
    };
    await this.done(given(), what);
  }

  /** An order that no record has to allow. */
  tellMirror(node: NodeName, order: (mirror: MirrorLink) => Promise<unknown>, what: string): Promise<void> {
    return this.order(node, (record) => record, order, what);
  }

  promote(node: NodeName, alone = false): Promise<void> {
    const epoch = this.epoch;
    const adopted = (record: PairRecord): PairRecord => (record.epoch.number < epoch.number ? withEpoch(record, epoch) : record);
    return this.order(node, adopted, (mirror) => mirror.promote({ epoch, alone }), 'promote');
  }

  /**
   * Rule takeover.commit: intent, seal, the record, then the service. What is sealed is judged once more, for a handshake may have begun and put it in doubt; rejects then with
   * `HM_REFUSED`, and nothing is taken. With `force` by the word of an operator.
   */
  async takeOver(node: NodeName, { force = false } = {}): Promise<void> {
    const next: Epoch = { number: this.epoch.number + 1, owner: node };
    const sealed: { element: ElementState } = { element: 'absent' };
    const seal = async (mirror: MirrorLink): Promise<void> => void Object.assign(sealed, await mirror.seal());
    await this.order(node, (record) => ({ ...record, intent: next }), seal, 'intent and seal');
    if (!force && sealed.element !== 'uptodate') {
      await this.order(
        node,
        (record) => ({ ...record, intent: null }),
        (mirror) => mirror.unseal(),
        'takeover given up',
      );
      throw new HotMirrorError('HM_REFUSED', `the element of ${node} is ${sealed.element}`, { rule: 'takeover.uptodate' });
    }
    const served = this.takesOver(node, force);
    const promote = (mirror: MirrorLink): Promise<void> => mirror.promote({ epoch: next, alone: true, force });
    await this.order(node, (record) => withEpoch(record, next), promote, 'takeover');
    served();
  }

  /** The peer is dead, or durably behind: rule alone. */
  goAlone(node: NodeName): Promise<void> {
    const next: Epoch = { number: this.epoch.number + 1, owner: node };
    const alone = (mirror: MirrorLink): Promise<void> =>
      mirror.goAlone({ epoch: next, rule: 'alone', connectionId: mirror.state().connectionId });
    return this.order(node, (record) => withEpoch(record, next), alone, 'go alone');
  }

  /** Rule outdate: the peer of a serving node that lost its data link records that it is old. */
  async outdatePeer(node: NodeName): Promise<void> {
    const { currentId, connectionId } = this.mirror(node).state();
    const order = { epoch: this.epoch, currentId, connectionId, nonce: 'n' };
    await this.tellMirror(other(node), (mirror) => mirror.outdate(order), 'outdate');
  }

  /** Rule handover: the giver is demoted and records that it released the service, then the taker serves. */
  async handOver(from: NodeName): Promise<void> {
    const to = other(from);
    const answers: boolean[] = [];
    const demoted = async (mirror: MirrorLink): Promise<void> => {
      answers.push((await mirror.demote()).handedOver);
    };
    await this.tellMirror(from, demoted, 'demote');
    if (!answers.includes(true)) throw new Error('nothing was handed over');
    const released: Epoch = { number: this.epoch.number + 1, owner: to };
    await this.order(
      from,
      (record) => ({ ...record, released }),
      (mirror) => mirror.raiseEpoch(released),
      'release',
    );
    await this.promote(to);
  }

  /** From `async` on everything that was acknowledged is durable on both elements when this resolves. */
  async setProtocol(node: NodeName, protocol: MirrorProtocol): Promise<void> {
    const wasAsync = this.mirror(node).state().protocol === 'async';
    const covered = this.covers(node);
    await this.tellMirror(node, (mirror) => mirror.setProtocol(protocol), `protocol ${protocol}`);
    if (wasAsync) covered();
  }

  setElement(node: NodeName, wish: 'off' | 'on'): Promise<void> {
    return this.tellMirror(node, (mirror) => mirror.setElement(wish), `element ${wish}`);
  }

  grow(node: NodeName): Promise<void> {
    return this.tellMirror(node, (mirror) => mirror.grow(), 'grow');
  }

  regenerate(node: NodeName, full = false): Promise<void> {
    return this.tellMirror(node, (mirror) => mirror.regenerate({ full }), full ? 'full regenerate' : 'regenerate');
  }

  verify(node: NodeName, repair: boolean): Promise<void> {
    return this.tellMirror(node, (mirror) => mirror.verify({ repair }), repair ? 'verify and repair' : 'verify');
  }

  /** An operator gives the comparison up while its first answers are on their way. */
  async verifyGivenUp(node: NodeName, afterMs: number): Promise<void> {
    const given = new AbortController();
    const verified = this.tellMirror(node, (mirror) => mirror.verify({ signal: given.signal }), 'verify').catch(() => undefined);
    await this.pass(afterMs);
    given.abort();
    await verified;
  }

  /** An arbiter granted the serving node another epoch. */
  async raiseEpoch(node: NodeName): Promise<void> {
    const next: Epoch = { number: this.epoch.number + 1, owner: node };
    const raise = (mirror: MirrorLink): Promise<void> => mirror.raiseEpoch(next);
    await this.order(node, (record) => withEpoch(record, next), raise, 'raise the epoch');
  }

  /** Rule resync.undo. The element is afterwards what it was before the resync, byte by byte. */
  async rollBack(node: NodeName): Promise<void> {
    await this.tellMirror(node, (mirror) => mirror.rollBack(), 'roll back');
    const wrong = this.kept.judgeRollback(node);
    if (wrong !== null) throw new Error(wrong);
  }

  /** Rule lineage.resolve: the operator's word, first to who is to give way. */
  async resolve(survivor: NodeName, { salvage = false } = {}): Promise<void> {
    const split = nodes.map((node) => this.mirror(node).state().split).find((evidence) => evidence !== null);
    if (!split) throw new Error('there is no split');
    this.survivors.add(survivor);
    for (const node of [other(survivor), survivor]) {
      const order = { judged: split.judged, survivor, ...(salvage && node !== survivor ? { salvage: salvageFile } : {}) };
      await this.tellMirror(node, (mirror) => mirror.resolve(order), `resolve for ${survivor}`);
    }
  }
}
