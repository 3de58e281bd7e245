import { sleep } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import { untilAny } from '../clock/within.ts';
import { compareEpochs, formatEpoch, highestEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import { parkedMirrors } from './alone-run.ts';
import { give } from './handover-run.ts';
import { look } from './look.ts';
import type { CommandAnswer, CommandRequest } from './messages.ts';
import { parseCommandAnswer, toJson } from './messages.ts';
import type { PairNode } from './pair-node.ts';
import type { Control } from './pair-record.ts';
import { withEpoch } from './pair-record.ts';
import { refusal } from './refusal.ts';
import { assertResolvable, resolveHere, resolveMirrors } from './resolve-run.ts';
import type { ForwardResolve } from './resolve-run.ts';
import { startService } from './serve.ts';
import { shownEpochs } from './shown-epochs.ts';
import { takeOver } from './takeover-run.ts';

/** How the service is to be moved. */
export interface MoveWish {
  readonly reason: string;
  /** Lifts .auto, .dead, .uptodate and .verified; what may be lost is accepted. */
  readonly force: boolean;
  /** Lifts these rules too. */
  readonly overrides: readonly Rule[];
  /** Wait for the regeneration of the taker first. */
  readonly regenerate: boolean;
  readonly signal?: AbortSignal;
}

type Forwarded = Pick<CommandRequest, 'command' | 'reason' | 'regenerate' | 'force' | 'resolve' | 'split'>;

/** Which split brains are to end, and how. */
export interface ResolveWish {
  readonly survivor: string;
  /** Null: every mirror that is split. */
  readonly mirror: string | null;
  /** A file on the node that gives way, for what is overwritten there; null: none. */
  readonly salvage: string | null;
}

/** A command that no reason of a person and no force goes with. */
const plainly = { reason: 'resolve', regenerate: false, force: false } as const;

/** Commands of the peer that are remembered, so that asking again finds the outcome. */
const maxRemembered = 16;
/** Between two questions how far a forwarded command is. */
const pollMs = 200;
const idBytes = 16;

/** The wishes of operators, here or forwarded by the peer. */
export class Commands {
  readonly #node: PairNode;
  #moving: { readonly target: string; readonly done: Promise<void> } | null = null;
  readonly #remembered = new Map<string, CommandAnswer>();

  constructor(node: PairNode) {
    this.#node = node;
  }

  /** Moves the service to `target`. The same wish twice is one; another meanwhile is refused. */
  move(target: string, wish: MoveWish): Promise<void> {
    if (this.#moving) {
      if (this.#moving.target === target) return this.#moving.done;
      return Promise.reject(refusal('handover', `the service is being moved to ${this.#moving.target}`));
    }
    this.#node.move = target;
    const done = this.#move(target, wish).finally(() => {
      this.#moving = null;
      this.#node.move = null;
      this.#node.wake();
    });
    this.#moving = { target, done };
    return done;
  }

  /** Where the service is to be: nothing to do but to mend a service that did not come up. */
  async #move(target: string, wish: MoveWish): Promise<void> {
    const node = this.#node;
    if (target === node.name) return node.serving ? this.#ensureService(wish.reason) : this.#take(wish);
    const peer = node.livePeer();
    const settled = node.record.epoch.owner === target && !node.record.released;
    if (settled && peer?.serving) {
      if (peer.service === 'failed') await this.#forward({ command: 'start-service', ...wish });
      return;
    }
    if (settled) throw refusal('boot.alone', `${target} owns the service and ${peer ? 'cannot serve it yet' : 'does not answer'}`);
    await give(node, wish);
  }

  /** This node is to serve: by hand-over while the peer answers, by takeover when it does not. */
  async #take(wish: MoveWish): Promise<void> {
    const node = this.#node;
    const { epoch, released } = node.record;
    if (epoch.owner === node.name && !released) await this.#allowAlone(wish);
    else if (node.livePeer() || node.monitor.reachable()) await this.#forward({ command: 'give', ...wish }, wish.signal);
    else await node.decide(() => takeOver(node, { byOperator: true, ...wish }));
    await this.#awaitService();
  }

  /** The owner does not serve: the boot table says why, and an operator who forces it says that the peer is dead. */
  async #allowAlone(wish: MoveWish): Promise<void> {
    if (wish.force) await this.#withWord(wish.overrides);
    const { boot, serving } = this.#node;
    if (!serving) throw refusal(boot?.rule ?? 'boot.alone', boot?.because ?? 'this node has not decided yet');
  }

  /** An operator lets this node serve without its peer: frozen, or waiting after a start. */
  async resume(overrides: readonly Rule[]): Promise<void> {
    const node = this.#node;
    const fulfilled = (): boolean => node.serving && parkedMirrors(node).length === 0;
    if (fulfilled()) return;
    await this.#withWord(overrides);
    if (fulfilled()) return;
    const [block] = node.serving ? node.blockers : [];
    throw refusal(block?.rule ?? node.boot?.rule ?? 'alone', block?.because ?? node.boot?.because ?? 'there is nothing to resume');
  }

  /** The word counts for one look. */
  #withWord(overrides: readonly Rule[]): Promise<void> {
    const node = this.#node;
    return node.decide(async () => {
      node.operatorWord = { overrides };
      try {
        await look(node);
      } finally {
        node.operatorWord = null;
      }
    });
  }

  async setControl(control: Control): Promise<void> {
    const node = this.#node;
    if (control === 'manual' && node.takeover?.automatic) node.takeover.abort.abort(refusal('takeover.auto', 'control is manual'));
    const theirs = node.peerSeen?.report.control.version ?? 0;
    await node.keeper.change('control', (record) => {
      if (record.control.value === control) return record;
      return { ...record, control: { value: control, version: Math.max(record.control.version, theirs) + 1 } };
    });
    if (!node.monitor.reachable()) return;
    const message = toJson({ kind: 'control', control: node.record.control });
    // The peer's tokens bring it the word as well.
    await node.monitor
      .request(message, { deadlineMs: node.policy.requestDeadlineMs, signal: node.ended.signal })
      .catch((error: unknown) => {
        node.failed(`telling ${node.peerName} that control is ${control}`, error);
      });
  }

  /** The serving node becomes the home primary. */
  async adopt(): Promise<void> {
    const node = this.#node;
    if (!node.serving) {
      await this.#forward({ command: 'adopt', reason: 'adopt', regenerate: false, force: false });
      return;
    }
    await node.keeper.change('adopt', (record) => {
      if (record.homes.primary === node.name) return record;
      return { ...record, homes: { primary: node.name, standby: node.peerName } };
    });
  }

  /** Serialised with takeovers, which would otherwise commit to an element that is no longer there. */
  async setElement(name: string, to: 'off' | 'on'): Promise<void> {
    const node = this.#node;
    const mirror = node.mirrors.find((one) => one.name === name);
    if (!mirror) throw new RangeError(`there is no mirror ${name}`);
    await node.decide(async () => {
      if (to === 'off' && node.serving) throw refusal('element.off', `${node.name} serves: move the service first`);
      await node.order(mirror, `element ${to}`, () => mirror.setElement(to));
    });
    node.wake();
  }

  /** Ends the split brains that this node sees: of the pair records, and of the named mirror, or of all. */
  async resolve({ survivor, mirror, salvage }: ResolveWish): Promise<void> {
    const node = this.#node;
    const otherOwner = this.#otherOwner();
    const wish = { survivor, mirror, salvage, recordsSplit: otherOwner !== null };
    assertResolvable(node, wish);
    if (survivor === node.name) await this.#resolveRecord(null);
    else if (node.monitor.reachable() || otherOwner)
      await this.#forward({ command: 'resolve', ...plainly, ...(otherOwner ? { split: otherOwner } : {}) });
    if (otherOwner) await this.#heardAbove(otherOwner);
    const forward: ForwardResolve = (resolve) => this.#forward({ command: 'resolve-mirror', ...plainly, resolve });
    await resolveMirrors(node, wish, forward);
  }

  /** The epoch of the other owner, where the pair records are split. */
  #otherOwner(): Epoch | null {
    const { record } = this.#node;
    return record.conflict ?? shownEpochs(this.#node).find((one) => compareEpochs(one, record.epoch) === 'conflict') ?? null;
  }

  /** The survivor owns a higher epoch, unless it had not heard yet of both owners. */
  async #heardAbove({ number }: Epoch): Promise<void> {
    const node = this.#node;
    const found = (): true | null => (node.knownEpoch().number > number ? true : null);
    await node.waitFor('the new epoch', node.policy.requestDeadlineMs, found).catch((error: unknown) => {
      if (!(error instanceof HotMirrorError) || error.code !== 'HM_REQUEST_TIMEOUT') throw error;
      throw refusal('lineage.resolve', 'the survivor has not heard yet that the pair is split: ask again');
    });
  }

  /** This node owns a new epoch, which the other writes as soon as it hears of it. `told`: an epoch that the other node saw conflict, and that this one may not have heard of. */
  async #resolveRecord(told: Epoch | null): Promise<void> {
    const node = this.#node;
    await node.keeper.change('resolve', (record) => {
      const isNews = told !== null && told.number >= record.epoch.number;
      if (!isNews && !this.#otherOwner()) return record;
      if (record.epoch.number === 0) throw refusal('boot.norecord', `${node.name} has no pair record: it cannot be the survivor`);
      return withEpoch(record, { number: highestEpoch([node.knownEpoch(), told]).number + 1, owner: node.name });
    });
    await node.orderAll('raising the epoch', (mirror) => mirror.raiseEpoch(node.record.epoch));
  }

  /** A command of the peer: begun at its first request, told about at every one. */
  answer(request: CommandRequest): CommandAnswer {
    const known = this.#remembered.get(request.id);
    if (known) return known;
    const remember = (answer: CommandAnswer): void => void this.#remembered.set(request.id, answer);
    for (const id of this.#remembered.keys()) if (this.#remembered.size >= maxRemembered) this.#remembered.delete(id);
    remember({ state: 'running' });
    this.#carryOut(request).then(
      () => remember({ state: 'done' }),
      (error: unknown) => remember({ state: 'failed', error: HotMirrorError.from(error, 'HM_INTERNAL', request.command).toJSON() }),
    );
    return { state: 'running' };
  }

  #carryOut({ command, reason, regenerate, force, resolve, split }: CommandRequest): Promise<void> {
    const node = this.#node;
    switch (command) {
      case 'give':
        return this.move(node.peerName, { reason, regenerate, force, overrides: [] });
      case 'adopt':
        return node.serving ? this.adopt() : Promise.reject(refusal('handover', 'neither node serves'));
      case 'resolve':
        return this.#resolveRecord(split ?? null);
      case 'resolve-mirror':
        return resolve ? resolveHere(node, resolve) : Promise.reject(refusal('lineage.resolve', 'the order is missing'));
      case 'start-service':
        return this.#ensureService(reason);
    }
  }

  /** Has the other node do it, and asks until it has ended. */
  async #forward(what: Forwarded, signal?: AbortSignal): Promise<void> {
    const node = this.#node;
    const { command, reason, regenerate, force, resolve, split } = what;
    const id = randomHex(node.options.random, idBytes);
    const request = toJson({
      kind: 'command',
      id,
      command,
      reason,
      regenerate,
      force,
      ...(resolve ? { resolve } : {}),
      ...(split ? { split } : {}),
    });
    await untilAny([node.ended.signal, ...(signal ? [signal] : [])], async (until) => {
      for (;;) {
        const answer = await this.#ask(request, until);
        if (answer?.state === 'done') return;
        if (answer?.state === 'failed') throw HotMirrorError.fromJSON(answer.error);
        await sleep(node.clock, pollMs, until);
      }
    });
  }

  /** Null: no answer this time, while the peer is still there. */
  async #ask(request: ReturnType<typeof toJson>, signal: AbortSignal): Promise<CommandAnswer | null> {
    const node = this.#node;
    try {
      return parseCommandAnswer(await node.monitor.request(request, { deadlineMs: node.policy.requestDeadlineMs, signal }));
    } catch (error) {
      if (error instanceof HotMirrorError && error.code === 'HM_REQUEST_TIMEOUT' && node.livePeer()) return null;
      throw error;
    }
  }

  async #ensureService(reason: string): Promise<void> {
    const node = this.#node;
    if (!node.serving) throw refusal('handover', 'this node does not serve');
    if (node.service.state === 'failed' && !node.unpromoted) void startService(node, reason);
    await this.#awaitService();
  }

  #awaitService(): Promise<void> {
    const node = this.#node;
    return node
      .waitFor('the service', node.longestSequenceMs(), () => {
        const { state } = node.service;
        if (state === 'running') return true;
        if (!node.serving && !node.taking)
          throw refusal('lineage.epoch', `the service was lost: the epoch is ${formatEpoch(node.record.epoch)}`);
        if (node.unpromoted) throw new HotMirrorError('HM_STEP_FAILED', 'the mirrors could not all be made to serve; it is tried again');
        if (state === 'failed') throw new HotMirrorError('HM_STEP_FAILED', 'the service did not come up; step:failed says why');
        return null;
      })
      .then(() => undefined);
  }
}
