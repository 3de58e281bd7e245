import { HotMirrorError } from '../errors.ts';
import type { DataConnection } from './data-connection.ts';
import type { ElementLineage } from './element-lineage.ts';
import type { Agreement, Start } from './handshake.ts';
import type { MirrorProtocol } from './options.ts';
import type { ReplicationOptions } from './replication-options.ts';
import { TargetSession } from './target.ts';

/** What the target's end tells of its element. */
export interface TargetEndHandlers {
  /** False once this node is leaving: it takes over no lineage any more. */
  mayAdopt(): boolean;
  /** What this node's element is from now on. */
  became(element: 'uptodate' | 'outdated'): void;
  protocol(protocol: MirrorProtocol, mayLoseBytes: number): void;
  /** Something becomes durable by the word of the source until this resolves; a takeover waits for it (rule takeover.seal). */
  recording(recorded: Promise<void>): void;
}

/**
 * The target's end of one connection: the stream of writes, and what the source has this element record: that it is as good as the source's (rule lineage.adopt), or
 * behind it (rule write.congested).
 */
export class TargetEnd {
  readonly session: TargetSession;
  readonly #options: ReplicationOptions;
  readonly #lineage: ElementLineage;
  readonly #data: DataConnection;
  readonly #handlers: TargetEndHandlers;
  #ended = false;

  constructor(
    options: ReplicationOptions,
    lineage: ElementLineage,
    data: DataConnection,
    { agreement, start }: { readonly agreement: Agreement; readonly start: Start },
    handlers: TargetEndHandlers,
  ) {
    this.#options = options;
    this.#lineage = lineage;
    this.#data = data;
    this.#handlers = handlers;
    const { device, store, findings, host, counters, preservation } = options;
    this.session = new TargetSession({
      ...{ data, device, sizeBytes: start.sizeBytes, extentBytes: store.metadata.extentBytes, findings, counters },
      images: agreement.scope === 'nothing' ? null : preservation.images,
      handlers: {
        adopt: (body, adopted) => this.#adopt(body, start, adopted),
        behind: (recorded) => this.#fallBehind(recorded),
        protocol: (protocol, mayLoseBytes) => handlers.protocol(protocol, mayLoseBytes),
        changed: () => host.changed(),
        failed: (error) => void host.failed(error).then(() => data.refuse(error)),
      },
    });
  }

  /** The connection is lost. */
  end(): void {
    this.#ended = true;
  }

  /** The source's lineage becomes this element's, durably. */
  #adopt(body: Uint8Array, start: Start, adopted: () => void): void {
    // Its connection has ended while the device was busy: since then the element may have been told that it is old.
    if (this.#ended) return;
    const { host } = this.#options;
    const take = async (): Promise<void> => {
      if (!this.#handlers.mayAdopt()) throw new HotMirrorError('HM_CLOSED', 'this node is leaving');
      await this.#lineage.take(body, start);
      if (this.#ended) return;
      this.#handlers.became('uptodate');
      adopted();
      host.emit('resync:finished', 0, 'this element is the same as the source', { rule: 'lineage.adopt' });
      host.changed();
    };
    this.#record(take(), 'HM_PROTOCOL', 'the offered lineage could not be taken over');
  }

  /** Durably, before the source completes anything that this element lacks (rule write.congested). */
  #fallBehind(recorded: () => void): void {
    const { host } = this.#options;
    this.#handlers.became('outdated');
    const fall = async (): Promise<void> => {
      await this.#lineage.fallBehind();
      if (this.#ended) return;
      recorded();
      host.emit('ahead:begun', 1, 'the source goes on without this element, which is behind', { rule: 'write.congested' });
      host.changed();
    };
    this.#record(fall(), 'HM_STATE_UNWRITABLE', 'it could not be recorded that this element is behind');
  }

  #record(change: Promise<void>, code: 'HM_PROTOCOL' | 'HM_STATE_UNWRITABLE', text: string): void {
    this.#handlers.recording(change.catch((error: unknown) => this.#data.refuse(HotMirrorError.from(error, code, text))));
  }
}
