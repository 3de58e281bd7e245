import { evidenceOf } from '../events.ts';
import type { EventBase } from '../events.ts';
import { failoverEventNames } from '../failover/failover-events.ts';
import type { FailoverEvents } from '../failover/failover-events.ts';
import type { FailoverOrchestrator } from '../failover/orchestrator.ts';
import type { HealthWatch } from '../heartbeat/health.ts';
import { heartbeatEventNames } from '../heartbeat/events.ts';
import type { HeartbeatEvents } from '../heartbeat/events.ts';
import type { HeartbeatMonitor } from '../heartbeat/heartbeat-monitor.ts';
import type { MirrorEventName } from '../mirror/mirror-events.ts';
import type { Clock } from '../clock/clock.ts';
import type { EventLog } from './event-log.ts';
import { serverChanged } from './mirror-messages.ts';
import type { MirrorThreadEvent } from './mirror-messages.ts';
import { Repeats } from './repeats.ts';
import { ServerNews } from './server-news.ts';
import type { ElementServer } from './server-news.ts';

/** What `status` shows better than a line in the log. */
const unlogged: ReadonlySet<string> = new Set<MirrorEventName | keyof HeartbeatEvents | keyof FailoverEvents>([
  'state:changed',
  'resync:progressed',
  'peer:answered',
  'recover:progressed',
]);

/** Puts into the log what the parts of a node tell. */
export class NodeEvents {
  readonly #log: Pick<EventLog, 'append'>;
  readonly #clock: Clock;
  readonly #closers: (() => void)[] = [];

  constructor(log: Pick<EventLog, 'append'>, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Gives the listener that logs a mirror's events; `serving` says whether this node serves it. */
  mirror(mirror: string, serving: () => boolean): (event: MirrorThreadEvent) => void {
    const server = new ServerNews({ clock: this.#clock, serving, tell: (name, news) => this.append(name, news, mirror) });
    const repeats = new Repeats({ clock: this.#clock, tell: (name, news) => this.append(name, news, mirror) });
    this.#closers.push(
      () => server.close(),
      () => repeats.flush(),
    );
    return ({ name, payload }) => {
      if (name === serverChanged) server.heard(payload as ElementServer);
      else if (!unlogged.has(name)) repeats.heard(name, payload as EventBase);
    };
  }

  /** Leaves no timer, and nothing that was counted and not told. */
  close(): Promise<void> {
    for (const close of this.#closers) close();
    return Promise.resolve();
  }

  /** Logs a monitor's events. */
  monitor({ events }: HeartbeatMonitor): void {
    for (const name of logged(heartbeatEventNames)) {
      if (name !== 'frame:rejected') events.on(name, (event: EventBase) => this.append(name, event));
    }
    this.#rejections(events);
  }

  /** A link that is refused again and again would fill the log; once it is up, what is refused is new. */
  #rejections(events: HeartbeatMonitor['events']): void {
    const repeats = new Repeats({ clock: this.#clock, tell: (name, news) => this.append(name, news) });
    this.#closers.push(() => repeats.flush());
    events.on('frame:rejected', (event) =>
      repeats.heard('frame:rejected', { ...event, text: `Monitor link ${event.link}: ${event.text}` }),
    );
    events.on('link:changed', ({ to }) => {
      if (to === 'up') repeats.flush();
    });
  }

  /** Logs what the health probes of this node tell. */
  health({ events }: HealthWatch): void {
    events.on('health:changed', (event) => this.append('health:changed', event));
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
