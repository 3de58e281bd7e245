import type { ControlHandlers, NodeStatus } from '../../src/node/control-protocol.ts';

const unexpected = (): Promise<never> => Promise.reject(new Error('not expected'));

/** Handlers that take nothing; tests replace those they need. */
export const refusingHandlers: ControlHandlers = {
  status: unexpected,
  events: unexpected,
  control: unexpected,
  fallback: unexpected,
  recover: unexpected,
  switchover: unexpected,
  adopt: unexpected,
  regenerate: unexpected,
  verify: unexpected,
  element: unexpected,
  grow: unexpected,
  protocol: unexpected,
  watch: unexpected,
  maintenance: unexpected,
  resume: unexpected,
  resolve: unexpected,
  plan: unexpected,
};

/** A healthy serving node of the example pair. */
export const exampleStatus: NodeStatus = {
  schema: 1,
  node: 'north',
  home: 'primary',
  mode: 'normal',
  serving: true,
  epoch: 3,
  control: 'auto',
  monitor: { state: 'normal', peer: 'up', links: [{ name: 'net', state: 'up', lastSeenMs: 112, rttMs: 0.4 }] },
  mirrors: [
    {
      name: 'files',
      sizeBytes: 67_108_864,
      role: 'source',
      connection: 'connected',
      element: 'uptodate',
      peerElement: 'uptodate',
      dirtyBytes: 0,
      resync: null,
      export: null,
    },
  ],
  blockedBy: [],
};
