import { z } from 'zod';

/** `status --json` of a pair that is well, exactly as the command-line contract writes it: no key more, none less. */
export const statusContract = z.strictObject({
  schema: z.literal(1),
  node: z.string(),
  home: z.enum(['primary', 'standby']),
  mode: z.enum(['normal', 'fallback']),
  serving: z.boolean(),
  epoch: z.int().nonnegative(),
  control: z.enum(['auto', 'manual']),
  monitor: z.strictObject({
    state: z.enum(['grace', 'normal', 'paused']),
    peer: z.enum(['unknown', 'up', 'suspect', 'down', 'left']),
    links: z.array(
      z.strictObject({
        name: z.string(),
        state: z.enum(['up', 'late', 'down']),
        lastSeenMs: z.number().nonnegative().nullable(),
        rttMs: z.number().nonnegative().nullable(),
      }),
    ),
  }),
  mirrors: z.array(
    z.strictObject({
      name: z.string(),
      sizeBytes: z.int().positive(),
      role: z.enum(['source', 'target', 'none']),
      connection: z.enum(['connected', 'connecting', 'standalone', 'split-brain', 'unrelated']),
      element: z.enum(['uptodate', 'consistent', 'outdated', 'inconsistent', 'failed', 'off', 'absent']),
      peerElement: z.enum(['uptodate', 'consistent', 'outdated', 'inconsistent', 'failed', 'off', 'absent']),
      dirtyBytes: z.int().nonnegative(),
      resync: z
        .strictObject({
          doneBytes: z.int().nonnegative(),
          totalBytes: z.int().nonnegative(),
          bytesPerSecond: z.number().nonnegative(),
          remainingMs: z.number().nonnegative().nullable(),
        })
        .nullable(),
      export: z.string().nullable(),
    }),
  ),
  blockedBy: z.array(z.strictObject({ rule: z.string(), because: z.string() })),
});

/** One line of `events --json`. */
export const eventContract = z.strictObject({
  schema: z.literal(1),
  seq: z.int().positive(),
  time: z.iso.datetime(),
  node: z.string(),
  event: z.string().regex(/^[a-z]+:[a-z]+$/u),
  class: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]),
  mirror: z.string().optional(),
  rule: z.string().optional(),
  evidence: z.record(z.string(), z.unknown()).optional(),
  text: z.string().min(1),
});
