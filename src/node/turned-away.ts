import type { Clock } from '../clock/clock.ts';
import { errorRemedies } from '../errors.ts';
import type { FrameRejected } from '../heartbeat/events.ts';
import type { HeartbeatMonitor } from '../heartbeat/heartbeat-monitor.ts';
import type { StatusWarning } from './control-protocol.ts';

/** How long after the last attempt the status still warns of it: longer than it takes until the next one, unless the deadline is longer. */
const rememberedMs = 60_000;

/** Remembers which monitor links turn somebody away that nobody but an operator can help, such as a node with another key. */
export class TurnedAway {
  readonly #monitor: Pick<HeartbeatMonitor, 'events' | 'status'>;
  readonly #clock: Clock;
  /** By link, the last one. */
  readonly #found = new Map<string, { readonly event: FrameRejected; readonly atMs: number }>();

  constructor(monitor: Pick<HeartbeatMonitor, 'events' | 'status'>, clock: Clock) {
    this.#monitor = monitor;
    this.#clock = clock;
    monitor.events.on('frame:rejected', (event) => {
      if (event.class > 0) this.#found.set(event.link, { event, atMs: clock.nowMs() });
    });
  }

  /** What `status` warns of: who is turned away now, one warning for all links that say the same. */
  get warnings(): readonly StatusWarning[] {
    const nowMs = this.#clock.nowMs();
    const down = new Set(this.#monitor.status().links.flatMap(({ name, state }) => (state === 'up' ? [] : [name])));
    const lasting = [...this.#found].filter(([link, { atMs }]) => down.has(link) && nowMs - atMs < rememberedMs);
    const linksBy = new Map<string, { readonly links: string[]; readonly event: FrameRejected }>();
    for (const [link, { event }] of lasting) {
      const same = linksBy.get(event.text);
      if (same) same.links.push(link);
      else linksBy.set(event.text, { links: [link], event });
    }
    return [...linksBy.values()].map(({ links, event }) => ({
      rule: 'trust',
      because: `turned away on ${links.length === 1 ? 'monitor link' : 'monitor links'} ${links.join(', ')}: ${event.text}`,
      remedy: errorRemedies[event.code],
    }));
  }
}
