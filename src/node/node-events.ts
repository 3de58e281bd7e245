import { evidenceOf } from '../events.ts';
import type { EventBase } from '../events.ts';
import { failoverEventNames } from '../failover/failover-events.ts';
import type { FailoverEvents } from '../failover/failover-events.ts';
import type { FailoverOrchestrator } from '../failover/orchestrator.ts';
import { heartbeatEventNames } from '../heartbeat/events.ts';
import type { HeartbeatEvents } from '../heartbeat/events.ts';
import type { HeartbeatMonitor } from '../heartbeat/heartbeat-monitor.ts';
import type { MirrorEventName } from '../mirror/mirror-events.ts';
import type { EventLog } from './event-log.ts';
import type { MirrorThreadEvent } from './mirror-messages.ts';

/** What `status` shows better than a line in the log. */
const unlogged: ReadonlySet<string> = new Set<MirrorEventName | keyof HeartbeatEvents | keyof FailoverEvents>([
  'state:changed',
  'resync:progressed',
  'peer:answered',
  'recover:progressed',
]);

/** Puts into the log what the parts of a node tell. */
export class NodeEvents {
  readonly #log: EventLog;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Gives the listener that logs a mirror's events. */
  mirror(mirror: string): (event: MirrorThreadEvent) => void {
    return ({ name, payload }) => {
      if (!unlogged.has(name)) this.append(name, payload as EventBase, mirror);
    };
  }

  /** Logs a monitor's events. */
  monitor({ events }: HeartbeatMonitor): void {
    for (const name of logged(heartbeatEventNames)) events.on(name, (event: EventBase) => this.append(name, event));
  }

  /** Logs an orchestrator's events. */
  orchestrator({ events }: FailoverOrchestrator): void {
    for (const name of logged(failoverEventNames)) {
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

function logged<Name extends string>(names: readonly Name[]): readonly Name[] {
  return names.filter((name) => !unlogged.has(name));
}
