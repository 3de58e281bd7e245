import { HotMirrorError } from '../errors.ts';
import type { DataConnection } from './data-connection.ts';
import type { ElementLineage } from './element-lineage.ts';
import type { Start } from './handshake.ts';
import type { MirrorProtocol } from './options.ts';
import type { ReplicationOptions } from './replication-options.ts';
import type { PreImages } from './pre-images.ts';
import { TargetPhase } from './target-phase.ts';
import { TargetSession } from './target.ts';

/** What the target's end tells of its element. */
export interface TargetEndHandlers {
  /** Whether a lineage may be taken over now. */
  mayChange(): boolean;
  /** A change could not be recorded: either may be durable now, what was before or what was to be. */
  doubted(): void;
  /** The element is the same as the source's. */
  adopted(): void;
  /** It was the same, and that is durable, but its connection has ended meanwhile. */
  adoptedLate(): void;
  /** The element is behind the source's from now on. */
  behind(): void;
  /** The source goes on through this element alone. */
  detached(): void;
  /** As `TargetHandlers.protocol`. */
  protocol(protocol: MirrorProtocol, mayLoseBytes: number): void;
}

/** What the handshake agreed on for the target. */
export interface TargetBegin {
  readonly start: Start;
  /** Where what a resync overwrites is kept; null without a copy. */
  readonly images: PreImages | null;
  /** The source serves through this element alone already (rule write.error). */
  readonly through: boolean;
}

/** The target's end of one connection: applies the stream, and changes its lineage as the source asks at a place in it. */
export class TargetEnd {
  readonly session: TargetSession;
  readonly #data: DataConnection;
  readonly #handlers: TargetEndHandlers;
  #change: Promise<void> = Promise.resolve();

  constructor(options: ReplicationOptions, lineage: ElementLineage, data: DataConnection, begin: TargetBegin, handlers: TargetEndHandlers) {
    const { device, store, findings, counters, host } = options;
    const { start, images, through } = begin;
    this.#data = data;
    this.#handlers = handlers;
    this.session = new TargetSession({
      data,
      ...{ device, sizeBytes: start.sizeBytes, extentBytes: store.metadata.extentBytes, findings, counters },
      images,
      phase: new TargetPhase(through),
      handlers: {
        adopt: (body, adopted) => {
          this.#durably(async () => {
            await lineage.take(body, start);
            if (data.ended) {
              handlers.adoptedLate();
              host.changed();
              return;
            }
            handlers.adopted();
            adopted();
            host.emit('resync:finished', 0, 'this element is the same as the source', { rule: 'lineage.adopt' });
            host.changed();
          });
        },
        detach: (body, detached) => {
          this.#durably(async () => {
            const generation = await lineage.holdAlone(body);
            if (data.ended) return;
            handlers.detached();
            detached();
            const text = `the source goes on through this element alone, under generation ${generation}`;
            host.emit('lineage:minted', 1, text, { rule: 'lineage.mint', evidence: { generation } });
            host.changed();
          });
        },
        // Durably, before the source completes anything that this element lacks (rule write.congested).
        behind: (recorded) => {
          this.#durably(async () => {
            handlers.behind();
            await lineage.fallBehind();
            if (data.ended) return;
            recorded();
            host.emit('ahead:begun', 1, 'the source goes on without this element, which is behind', { rule: 'write.congested' });
            host.changed();
          });
        },
        protocol: (protocol, mayLoseBytes) => handlers.protocol(protocol, mayLoseBytes),
        changed: () => host.changed(),
        failed: (error) => {
          void host.failed(error);
          data.refuse(error);
        },
      },
    });
  }

  /** Resolves when nothing of this connection can reach the element or its lineage any more, once the connection has ended. */
  async idle(): Promise<void> {
    await this.session.idle();
    await this.#change;
  }

  /** Resolves when no change of the lineage is under way. */
  settled(): Promise<void> {
    return this.#change;
  }

  #durably(change: () => Promise<void>): void {
    // Its connection has ended while the device was busy: since then the element may have been told that it is old.
    if (this.#data.ended) return;
    const carryOut = async (): Promise<void> => {
      if (!this.#handlers.mayChange()) throw new HotMirrorError('HM_CLOSED', 'this node is leaving');
      await change();
    };
    // One after the other, so that whoever waits for the last has waited for all.
    this.#change = this.#change.then(carryOut).catch((error: unknown) => {
      this.#handlers.doubted();
      this.#data.refuse(HotMirrorError.from(error, 'HM_PROTOCOL', 'what the source asked of this element could not be recorded'));
    });
  }
}
