import type { EventBase } from '../events.ts';
import type { FailoverEvents } from '../failover/failover-events.ts';
import type { FailoverOrchestrator } from '../failover/orchestrator.ts';
import type { HeartbeatEvents } from '../heartbeat/events.ts';
import type { HeartbeatMonitor } from '../heartbeat/heartbeat-monitor.ts';
import type { MirrorEventName } from '../mirror/mirror-events.ts';
import type { EventLog } from './event-log.ts';
import type { MirrorThreadEvent } from './mirror-messages.ts';

/** Which events of a mirror are worth a line in the log: not what `status` shows better. */
const mirrorEvents: Readonly<Record<MirrorEventName, boolean>> = {
  'state:changed': false,
  'link:connected': true,
  'link:lost': true,
  'link:refused': true,
  'lineage:decided': true,
  'lineage:minted': true,
  'resync:started': true,
  'resync:progressed': false,
  'resync:finished': true,
  'writes:parked': true,
  'writes:resumed': true,
  'element:failed': true,
  'epoch:refused': true,
  'peer:left': true,
  'metadata:repaired': true,
};

const heartbeatEvents: Readonly<Record<keyof HeartbeatEvents, boolean>> = {
  'link:changed': true,
  'peer:changed': true,
  'peer:answered': false,
  'monitor:overslept': true,
  'frame:rejected': true,
};

const failoverEvents: Readonly<Record<keyof FailoverEvents, boolean>> = {
  'record:written': true,
  'record:failed': true,
  'service:started': true,
  'service:stopped': true,
  'takeover:decided': true,
  'takeover:blocked': true,
  'takeover:aborted': true,
  'mode:changed': true,
  'step:started': true,
  'step:finished': true,
  'step:failed': true,
  'alone:decided': true,
  'handover:finished': true,
  'recover:progressed': false,
  'control:changed': true,
  'epoch:raised': true,
  'boot:decided': true,
  'split:detected': true,
  'order:failed': true,
};

/** Puts into the log what the parts of a node tell. */
export class NodeEvents {
  readonly #log: EventLog;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Gives the listener that logs a mirror's events. */
  mirror(mirror: string): (event: MirrorThreadEvent) => void {
    return ({ name, payload }) => {
      if (mirrorEvents[name as MirrorEventName]) this.append(name, payload as EventBase, mirror);
    };
  }

  /** Logs a monitor's events. */
  monitor({ events }: HeartbeatMonitor): void {
    for (const name of logged(heartbeatEvents)) events.on(name, (event: EventBase) => this.append(name, event));
  }

  /** Logs an orchestrator's events. */
  orchestrator({ events }: FailoverOrchestrator): void {
    for (const name of logged(failoverEvents)) {
      events.on(name, (event: EventBase & { readonly mirror?: string }) => this.append(name, event, event.mirror));
    }
  }

  /** Logs one event. */
  append(event: string, payload: Omit<EventBase, 'atMs'>, mirror?: string): void {
    const evidence = evidenceOf(payload);
    this.#log.append({
      event,
      class: payload.class,
      text: payload.text,
      ...(mirror === undefined ? {} : { mirror }),
      ...(payload.rule === undefined ? {} : { rule: payload.rule }),
      ...(evidence === undefined ? {} : { evidence }),
    });
  }
}

/** The typed code of what went wrong belongs to the evidence, wherever the event carries it. */
function evidenceOf(payload: Omit<EventBase, 'atMs'>): EventBase['evidence'] {
  const { evidence, code, error } = payload as Pick<EventBase, 'evidence'> & {
    readonly code?: unknown;
    readonly error?: { readonly code?: unknown };
  };
  const typed = code ?? error?.code;
  return typed === undefined ? evidence : { code: typed, ...evidence };
}

function logged<Name extends string>(table: Readonly<Record<Name, boolean>>): readonly Name[] {
  return (Object.keys(table) as Name[]).filter((name) => table[name]);
}
