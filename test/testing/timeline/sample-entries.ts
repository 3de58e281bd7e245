import type { TimelineEntry } from '../../../src/testing/timeline/entry.ts';

/** An entry of a simulation, as `SimulationEntry`. */
export interface SampleEntry extends TimelineEntry {
  readonly atMs: number;
}

type Told = Partial<Pick<TimelineEntry, 'class' | 'mirror' | 'rule' | 'evidence'>>;

const startMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const sizeBytes = 40_960_000;
const deadlineMs = 1_000;
const tokenEveryMs = 200;
const writeEveryMs = 23;
const links = ['lan', 'line'];

/** Writes entries down in any order of time, and gives them numbered in that order. */
export class Story {
  readonly #entries: Omit<SampleEntry, 'seq'>[] = [];

  tell(atMs: number, node: string, event: string, text: string, told: Told = {}): void {
    const time = new Date(startMs + atMs).toISOString();
    this.#entries.push({ schema: 1, atMs, time, node, event, class: 0, text, ...told });
  }

  node(atMs: number, node: string, state: string, mode: string | null, epoch: number, owner: string): void {
    this.tell(atMs, node, 'node:state', `${node} is ${state}`, { evidence: { state, mode, epoch, owner, control: 'auto' } });
  }

  mirror(atMs: number, node: string, serving: string, element: string, resync: number | null = null): void {
    const progress = resync === null ? null : { doneBytes: Math.round(resync * sizeBytes), totalBytes: sizeBytes };
    const evidence = { name: 'm0', serving, element, resync: progress };
    this.tell(atMs, node, 'mirror:state', `${element}, serving: ${serving}`, { mirror: 'm0', evidence });
  }

  link(atMs: number, link: string, alpha: 'open' | 'cut', beta: 'open' | 'cut'): void {
    const words = alpha === beta ? `is ${alpha}` : `is cut in what ${alpha === 'cut' ? 'alpha' : 'beta'} sends`;
    this.tell(atMs, 'world', 'link:state', `the link ${link} ${words}`, { evidence: { link, alpha, beta } });
  }

  monitor(atMs: number, node: string, link: string, to: string, from: string): void {
    this.tell(atMs, node, 'link:changed', `Monitor link ${link} is ${to} (was ${from}).`, {
      class: to === 'down' ? 1 : 0,
      rule: 'watch.all',
      evidence: { link, from, to, silentMs: to === 'up' ? 0 : deadlineMs },
    });
  }

  tokens(fromMs: number, toMs: number, node: string): void {
    for (let atMs = fromMs; atMs < toMs; atMs += tokenEveryMs) {
      for (const link of links) {
        const roundTripMs = 2 + ((atMs / tokenEveryMs) % 5);
        this.tell(atMs + roundTripMs, node, 'token:answered', `answered on ${link}`, {
          rule: 'watch.token',
          evidence: { link, roundTripMs },
        });
      }
    }
  }

  /** Writes at a steady rate; those issued in the last moments before `brokenMs` are never answered. */
  writes(fromMs: number, toMs: number, node: string, firstId: number, brokenMs = Infinity): void {
    for (let atMs = fromMs, id = firstId; atMs < toMs; atMs += writeEveryMs, id += 1) {
      const offset = (id * 4_096) % sizeBytes;
      const tookMs = 4 + ((id * 7) % 29);
      const evidence = { id, offset, length: 4_096 };
      this.tell(atMs, node, 'write:issued', `write ${String(id)} at ${String(offset)}`, { mirror: 'm0', evidence });
      if (atMs + tookMs < brokenMs) {
        this.tell(atMs + tookMs, node, 'write:acknowledged', `write ${String(id)} is acknowledged`, {
          mirror: 'm0',
          rule: 'write.both',
          evidence,
        });
      }
      if (id % 16 === 0) this.tell(atMs + 1, node, 'flush:done', 'flush', { mirror: 'm0', evidence: { id: id + 100_000 } });
    }
  }

  steps(fromMs: number, node: string, names: readonly string[]): void {
    names.forEach((step, index) => {
      const atMs = fromMs + index * 90;
      this.tell(atMs, node, 'step:started', `${step} started`, { evidence: { step, attempt: 1 } });
      this.tell(atMs + 70, node, 'step:finished', `${step} finished`, { evidence: { step, attempt: 1 } });
    });
  }

  entries(): readonly SampleEntry[] {
    return this.#entries.toSorted((one, other) => one.atMs - other.atMs).map((entry, index) => ({ ...entry, seq: index + 1 }));
  }
}

const upSteps = ['notify', 'attach', 'fsck', 'mount', 'startServices', 'enableLogins'];
const downSteps = ['disableLogins', 'stopServices', 'unmount', 'detach'];

/** Both nodes come up; the data link is cut and alpha goes on alone; it heals; alpha crashes, beta takes over; alpha returns, is filled, and the service comes home. */
export function takeoverStory(): readonly SampleEntry[] {
  const story = new Story();
  comeUp(story);
  goAlone(story);
  crashAndTakeover(story);
  returnAndRecover(story);
  return story.entries();
}

function comeUp(story: Story): void {
  for (const link of ['data:m0', ...links]) story.link(0, link, 'open', 'open');
  for (const node of ['alpha', 'beta']) {
    story.node(0, node, 'booting', null, 0, '');
    story.mirror(10, node, 'no', node === 'alpha' ? 'consistent' : 'inconsistent');
    story.tell(120, node, 'link:connected', 'the data link is connected', { mirror: 'm0', evidence: { connectionId: '0c1d2e3f' } });
    for (const link of links) story.monitor(150, node, link, 'up', 'down');
    story.tell(160, node, 'peer:changed', `${node === 'alpha' ? 'beta' : 'alpha'} is up (was unknown): it answers.`, {
      rule: 'watch.all',
      evidence: { from: 'unknown', to: 'up' },
    });
  }
  story.tell(200, 'alpha', 'lineage:decided', 'alpha is the source of beta (copy: full): the element of beta is blank', {
    mirror: 'm0',
    rule: 'lineage.fill',
    evidence: { source: 'alpha', target: 'beta', scope: 'full' },
  });
  story.tell(210, 'alpha', 'boot:decided', 'alpha: serve, both records hold 1/alpha and this node owns it', {
    rule: 'boot.equal',
    evidence: {
      own: { epoch: { number: 1, owner: 'alpha' } },
      peer: { epoch: { number: 1, owner: 'alpha' } },
      waited: false,
      action: 'serve',
    },
  });
  story.tell(215, 'beta', 'boot:decided', 'beta: passive, the peer owns the epoch 1/alpha', {
    rule: 'boot.equal',
    evidence: { action: 'passive' },
  });
  story.node(240, 'alpha', 'serving', 'normal', 1, 'alpha');
  story.node(240, 'beta', 'passive', 'normal', 1, 'alpha');
  story.steps(250, 'alpha', upSteps);
  for (let tenth = 0; tenth < 10; tenth += 1) {
    story.mirror(260 + tenth * 120, 'alpha', 'yes', 'uptodate', tenth / 10);
    story.mirror(262 + tenth * 120, 'beta', 'no', 'inconsistent', tenth / 10);
  }
  for (const node of ['alpha', 'beta']) {
    story.mirror(1_470, node, node === 'alpha' ? 'yes' : 'no', 'uptodate');
    story.tell(1_470, node, 'resync:finished', 'both elements are the same', { mirror: 'm0', rule: 'lineage.adopt' });
  }
  story.tokens(200, 8_000, 'alpha');
  story.tokens(200, 8_000, 'beta');
  story.writes(800, 8_000, 'alpha', 1, 8_000);
}

function goAlone(story: Story): void {
  const cutMs = 4_000;
  story.tell(cutMs, 'world', 'fault:begun', 'the data link of m0 is cut', { class: 1, evidence: { step: { do: 'cut', link: 'data:m0' } } });
  story.link(cutMs, 'data:m0', 'cut', 'cut');
  for (const node of ['alpha', 'beta']) {
    story.tell(cutMs + 300, node, 'link:lost', 'the data link is lost: nothing was heard', {
      class: 1,
      mirror: 'm0',
      evidence: { code: 'HM_CONNECTION_LOST' },
    });
  }
  story.mirror(cutMs + 301, 'alpha', 'parked', 'uptodate');
  story.tell(cutMs + 301, 'alpha', 'writes:parked', 'requests wait for the peer', { class: 3, mirror: 'm0', rule: 'serve.fresh' });
  story.tell(cutMs + 420, 'alpha', 'alone:decided', 'm0 without its peer: go, the peer is durably outdated', {
    class: 1,
    mirror: 'm0',
    rule: 'alone',
    evidence: {
      action: 'go',
      policy: 'freeze',
      peerOutdated: true,
      connectionId: '0c1d2e3f',
      silence: { silent: false, deadlineMs, lastHeardMs: 4_398 },
    },
  });
  story.mirror(cutMs + 400, 'beta', 'no', 'outdated');
  story.mirror(cutMs + 421, 'alpha', 'alone', 'uptodate');
  story.link(5_200, 'data:m0', 'cut', 'open');
  story.link(5_800, 'data:m0', 'open', 'open');
  for (const node of ['alpha', 'beta']) story.tell(5_900, node, 'link:connected', 'the data link is connected', { mirror: 'm0' });
  story.tell(
    5_940,
    'alpha',
    'lineage:decided',
    'alpha is the source of beta (copy: union): the map of alpha is relative to what beta holds',
    {
      mirror: 'm0',
      rule: 'lineage.base',
      evidence: { source: 'alpha', target: 'beta', scope: 'union' },
    },
  );
  for (let step = 0; step < 5; step += 1) {
    story.mirror(5_960 + step * 100, 'alpha', 'yes', 'uptodate', step / 5);
    story.mirror(5_962 + step * 100, 'beta', 'no', 'inconsistent', step / 5);
  }
  for (const node of ['alpha', 'beta']) story.mirror(6_460, node, node === 'alpha' ? 'yes' : 'no', 'uptodate');
}

function crashAndTakeover(story: Story): void {
  const crashMs = 8_000;
  story.tell(crashMs, 'alpha', 'fault:begun', 'alpha loses power', {
    class: 3,
    evidence: { step: { do: 'crash', node: 'alpha', how: 'power' } },
  });
  story.node(crashMs, 'alpha', 'down', null, 1, 'alpha');
  story.tell(crashMs + 40, 'beta', 'link:lost', 'the data link is lost: read ECONNRESET', { class: 1, mirror: 'm0' });
  for (const link of links) {
    story.monitor(crashMs + 320, 'beta', link, 'late', 'up');
    story.monitor(crashMs + deadlineMs, 'beta', link, 'down', 'late');
  }
  story.tell(crashMs + deadlineMs + 5, 'beta', 'peer:changed', 'alpha is down (was suspect): every link is silent for more than 1000 ms.', {
    class: 1,
    rule: 'watch.all',
    evidence: { from: 'suspect', to: 'down', deadlineMs, links: links.map((name) => ({ name, state: 'down', silentMs: 1_004 })) },
  });
  story.tell(crashMs + deadlineMs + 20, 'beta', 'takeover:decided', 'beta is about to take over with 2/beta: the peer is down', {
    rule: 'takeover.commit',
    evidence: { control: 'auto', watch: 'normal', peer: 'down', elements: { m0: 'uptodate' }, next: { number: 2, owner: 'beta' } },
  });
  story.node(crashMs + deadlineMs + 60, 'beta', 'serving', 'fallback', 2, 'beta');
  story.mirror(crashMs + deadlineMs + 61, 'beta', 'alone', 'uptodate');
  story.tell(crashMs + deadlineMs + 61, 'beta', 'service:started', 'beta serves epoch 2/beta: takeover: the peer is down', {
    class: 2,
    rule: 'takeover.commit',
  });
  story.steps(crashMs + deadlineMs + 80, 'beta', upSteps);
  story.writes(9_700, 14_060, 'beta', 1_000);
}

function returnAndRecover(story: Story): void {
  story.tell(11_000, 'alpha', 'fault:begun', 'alpha starts again', { evidence: { step: { do: 'boot', node: 'alpha' } } });
  story.node(11_000, 'alpha', 'booting', null, 1, 'alpha');
  story.mirror(11_020, 'alpha', 'no', 'consistent');
  for (const node of ['alpha', 'beta']) {
    story.tell(11_200, node, 'link:connected', 'the data link is connected', { mirror: 'm0' });
    for (const link of links) story.monitor(11_210, node, link, 'up', 'down');
  }
  story.tell(11_230, 'alpha', 'boot:decided', 'alpha: adopt, the peer holds the higher epoch 2/beta', {
    rule: 'boot.higher',
    evidence: { action: 'adopt' },
  });
  story.tell(
    11_240,
    'beta',
    'lineage:decided',
    'beta is the source of alpha (copy: union): the map of beta is relative to what alpha holds',
    {
      mirror: 'm0',
      rule: 'lineage.base',
      evidence: { source: 'beta', target: 'alpha', scope: 'union' },
    },
  );
  story.node(11_260, 'alpha', 'passive', 'fallback', 2, 'beta');
  for (let tenth = 0; tenth < 10; tenth += 1) {
    story.mirror(11_270 + tenth * 180, 'beta', 'yes', 'uptodate', tenth / 10);
    story.mirror(11_272 + tenth * 180, 'alpha', 'no', 'inconsistent', tenth / 10);
  }
  for (const node of ['alpha', 'beta']) story.mirror(13_080, node, node === 'beta' ? 'yes' : 'no', 'uptodate');
  story.tell(14_000, 'beta', 'operator:asked', 'an operator asks beta: recover', { evidence: { order: 'recover' } });
  story.node(14_050, 'beta', 'stopping', 'fallback', 2, 'beta');
  story.steps(14_060, 'beta', downSteps);
  story.mirror(14_430, 'beta', 'no', 'uptodate');
  story.tell(14_450, 'beta', 'handover:finished', 'the hand-over of 3/alpha has ended: the taker serves', {
    class: 2,
    rule: 'handover',
    evidence: { outcome: 'given', withoutOwnerMs: 60 },
  });
  story.node(14_450, 'beta', 'passive', 'normal', 3, 'alpha');
  story.node(14_470, 'alpha', 'serving', 'normal', 3, 'alpha');
  story.mirror(14_480, 'alpha', 'yes', 'uptodate');
  story.tell(14_481, 'beta', 'operator:answered', 'recover: done', { evidence: { order: 'recover', code: null } });
  story.steps(14_490, 'alpha', upSteps);
  story.tokens(11_400, 16_000, 'alpha');
  story.tokens(11_400, 16_000, 'beta');
  story.writes(15_000, 16_000, 'alpha', 3_000);
}
