import { z } from 'zod';

import type { Epoch } from '../epoch.ts';
import { highestEpoch, noEpoch } from '../epoch.ts';
import { healthStates, isProbeName, isProbeText, maxProbes } from '../health.ts';
import type { ProbeReport } from '../health.ts';
import type { BootRecord } from './boot.ts';
import type { PairRecord } from './pair-record.ts';
import { controlSchema, epochSchema, homesSchema } from './pair-record.ts';
import type { Json, MirrorView } from './ports.ts';

/** What the platform does for the service on a node. */
export type ServiceState = 'stopped' | 'starting' | 'running' | 'stopping' | 'failed';

/** What a node says of itself in every token and answer. Journals stay at home: a serial line is slow. */
export interface PeerReport {
  readonly schema: 1;
  readonly node: string;
  /** Null when it has none. */
  readonly record: BootRecord | null;
  readonly control: PairRecord['control'];
  /** It has not decided by the boot table yet. */
  readonly booting: boolean;
  readonly serving: boolean;
  readonly service: ServiceState;
  readonly leaving: boolean;
  /** What the arbiter granted to the other node, over which this one waits (rule `boot.arbiter`). Absent: it waits over none. */
  readonly overGrant?: Epoch | undefined;
  readonly mirrors: readonly PeerMirror[];
  /** What its health probes found last, without ages, so that a report changes only where it says something new. Absent: it has no probes. */
  readonly health?: readonly ProbeReport[] | undefined;
}

/** What a node says of one of its elements. */
export interface PeerMirror {
  readonly name: string;
  readonly element: MirrorView['element'];
  readonly epoch: Epoch;
  readonly connection: MirrorView['connection'];
  readonly serving: MirrorView['serving'];
}

const maxMirrors = 256;

const mirrorSchema: z.ZodType<PeerMirror> = z.object({
  name: z.string().max(255),
  element: z.enum(['uptodate', 'consistent', 'outdated', 'inconsistent', 'failed', 'off', 'absent']),
  epoch: epochSchema,
  connection: z.enum(['connecting', 'connected', 'standalone', 'split-brain', 'unrelated']),
  serving: z.enum(['no', 'yes', 'parked', 'alone']),
});

const healthSchema: z.ZodType<readonly ProbeReport[]> = z
  .array(z.object({ name: z.string().refine(isProbeName), state: z.enum(healthStates), text: z.string().refine(isProbeText).optional() }))
  .max(maxProbes);

const reportSchema: z.ZodType<PeerReport> = z.object({
  schema: z.literal(1),
  node: z.string().min(1).max(255),
  record: z
    .object({
      epoch: epochSchema,
      homes: homesSchema,
      released: epochSchema.nullable(),
      intent: epochSchema.nullable(),
      conflict: epochSchema.nullable(),
    })
    .nullable(),
  control: controlSchema,
  booting: z.boolean(),
  serving: z.boolean(),
  service: z.enum(['stopped', 'starting', 'running', 'stopping', 'failed']),
  leaving: z.boolean(),
  overGrant: epochSchema.optional(),
  mirrors: z.array(mirrorSchema).max(maxMirrors),
  health: healthSchema.optional(),
});

/** Health beyond this travels without what the probes said: the frames of a slow line are short, and a report that does not fit into one renews no lease. */
const mostHealthBytes = 1_024;

/** Makes the report of this node. Health that the peer would refuse is left out: for its sake no lease may end. */
export function makeReport(
  node: string,
  record: PairRecord,
  mirrors: readonly MirrorView[],
  stance: Pick<PeerReport, 'booting' | 'serving' | 'service' | 'leaving'> & { readonly overGrant: Epoch | null },
  probes: readonly ProbeReport[] = [],
): PeerReport {
  const { epoch, homes, released, intent, conflict, control } = record;
  const { booting, serving, service, leaving, overGrant } = stance;
  const health = shortHealth(healthSchema.safeParse(probes).data ?? []);
  // In the order of the schema, so that a report that was read and sent again is the same text.
  return {
    schema: 1,
    node,
    record: epoch.number === 0 ? null : { epoch, homes, released, intent, conflict },
    control,
    booting,
    serving,
    service,
    leaving,
    ...(overGrant ? { overGrant } : {}),
    mirrors: mirrors.map(({ name, element, epoch: carried, connection, serving }) => ({
      name,
      element,
      epoch: carried,
      connection,
      serving,
    })),
    ...(health.length === 0 ? {} : { health }),
  };
}

function shortHealth(health: readonly ProbeReport[]): readonly ProbeReport[] {
  if (Buffer.byteLength(JSON.stringify(health)) <= mostHealthBytes) return health;
  return health.map(({ name, state }) => ({ name, state }));
}

/** A report as it is sent. */
export function reportToJson(report: PeerReport): Json {
  return report as unknown as Json;
}

/** Reads a report; null for anything else. Health that makes no sense here, as that of a later version, is as good as none. */
export function parseReport(body: Json): PeerReport | null {
  const parsed = reportSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  if (typeof body !== 'object' || body === null || !('health' in body)) return null;
  return parseReport(Object.fromEntries(Object.entries(body).filter(([name]) => name !== 'health')));
}

/** The highest epoch that a report shows to be real: recorded or carried by an element. An intent is not. */
export function reportedEpoch(report: PeerReport): Epoch {
  return highestEpoch([report.record?.epoch ?? noEpoch, ...report.mirrors.map(({ epoch }) => epoch)]);
}
