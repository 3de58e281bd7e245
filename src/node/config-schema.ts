import * as z from 'zod';

import { detectors } from '../heartbeat/detector.ts';
import type { DetectorKind } from '../heartbeat/detector.ts';
import { digestNames } from '../mirror/digests.ts';
import type { DigestName } from '../mirror/digests.ts';
import type { MirrorProtocol } from '../mirror/options.ts';
import type { PlatformStep } from '../platform/platform-actions.ts';
import { platformSteps } from '../platform/platform-actions.ts';
import { healthSchema } from './health-schema.ts';
import type { HealthProbeConfig } from './health-schema.ts';
import type { LinkTlsFiles } from './link-address.ts';
import { elementUriProblem, exportUriProblem } from './link-address.ts';
import { linkUrlProblem } from './link-schemes.ts';

const dayMs = 86_400_000;
const largestNameLength = 64;
/** Mirrors are whole blocks of any disk. */
const sizeUnitBytes = 4_096;
/** Both windows together fit into what a target takes off the line while its disk is slow. */
const largestWindowBytes = 2 ** 25;
const smallestJournalBytes = 2 ** 20;
const defaultJournalBytes = 2 ** 30;
const largestActiveRegions = 1_024;
const largestStepRetries = 100;
/** A year. */
const longestVerifyHours = 8_784;
const leastResyncBytesPerSecond = 65_536;

/** Issues that the schema words itself. Everything else is worded by {@link issueProblem}. */
function custom(problemOf: (text: string) => string | null) {
  return (text: string, context: z.RefinementCtx): void => {
    const problem = problemOf(text);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  };
}

function notYet(later: readonly string[], values: readonly string[]) {
  return (issue: { readonly input?: unknown }): string => {
    const kind = typeof issue.input === 'object' && issue.input !== null && 'kind' in issue.input ? issue.input.kind : issue.input;
    if (typeof kind === 'string' && later.includes(kind)) return `"${kind}" is not in this version; use ${listed(values)}`;
    return `must be ${listed(values)}`;
  };
}

const nameProblem = 'must begin with a letter or digit and hold letters, digits, ".", "_" and "-" only, 64 at most';
const name = z
  .string()
  .max(largestNameLength, nameProblem)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, nameProblem);
const path = z.string().min(1);
const durationMs = z.int().min(1).max(dayMs);

const linkUrl = z
  .string()
  .superRefine(custom(linkUrlProblem))
  .meta({
    description:
      'tcp://host:port, or serial:DEVICE?baudRate=RATE with the device of this node; a monitor link also scsi-sim:FILE?id=7, with &mailbox=0 through a mailbox',
    examples: ['tcp://192.0.2.1:7701', 'serial:/dev/ttyS0?baudRate=115200', 'scsi-sim:bus.sock?id=7', 'scsi-sim:bus.sock?id=7&mailbox=0'],
  });
const pskFiles = z.strictObject({ pskFile: path });
const linkTls = z
  .union([z.strictObject({ keyFile: path, certificateFile: path, caFile: path }), pskFiles])
  .meta({ description: 'TLS, by certificates or by keys that both nodes hold; at both nodes or at neither.' });
const linkAddress = z
  .union(
    [
      linkUrl,
      z
        .strictObject({ listen: linkUrl, advertise: linkUrl.optional(), tls: linkTls.optional() })
        .superRefine(({ advertise, tls }, context) => {
          if (advertise === undefined && tls === undefined)
            context.addIssue({ code: 'custom', path: ['advertise'], message: 'is required' });
        }),
    ],
    'must be a URL or { "listen": URL, "advertise": URL, "tls": FILES }',
  )
  .meta({ description: 'Where the node listens; with "advertise" where the peer must dial another address; with "tls" encrypted by TLS.' });

const exportUri = z.string().superRefine(custom(exportUriProblem));
const exportTls = z
  .union([z.strictObject({ keyFile: path, certificateFile: path, caFile: path.optional() }), pskFiles])
  .meta({ description: 'Certificates (with caFile clients need one too), or keys that both sides hold.' });
const exported = z
  .union([exportUri, z.strictObject({ uri: exportUri, tls: exportTls })], 'must be an NBD URI or { "uri": URI, "tls": FILES }')
  .meta({
    description: 'Where the node hands the mirror to others; with "tls" encrypted: for everybody (nbds), or for those who wish (nbd).',
  });

const devicePath = path.superRefine(custom((text) => (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? elementUriProblem(text) : null)));

const argv = z.array(z.string()).min(1).meta({ description: 'Program and arguments; no shell is involved.' });
const stepCommand = z.strictObject({
  argv,
  deadlineMs: durationMs.optional(),
  probe: argv.optional().meta({ description: 'Exits with 0 when the step is in effect, 1 when not.' }),
  successCodes: z
    .array(z.int().min(0).max(255))
    .min(1)
    .optional()
    .meta({ description: 'Default: 0; for fsck also 1. For fence always 0.' }),
});

const platform = z
  .discriminatedUnion(
    'kind',
    [
      z.strictObject({ kind: z.literal('none') }),
      z.strictObject({
        kind: z.literal('command'),
        commands: z.partialRecord(z.enum(platformSteps), stepCommand),
      }),
    ],
    { error: notYet(['linux'], ['none', 'command']) },
  )
  .prefault({ kind: 'none' });

const monitorLink = z.object({ name }).catchall(linkAddress);

/** Waking a thread takes some 25 µs; nobody waits for much longer than that without going to sleep. */
const longestBusyPollUs = 1_000;

const mirror = z.strictObject({
  name,
  protocol: z
    .enum(['sync', 'memsync', 'async'])
    .default('sync')
    .meta({ description: 'When a write completes: the target has applied it, has received it, or is about to get it.' }),
  whenCongested: z.enum(['block', 'pull-ahead']).default('block').meta({
    description: 'What a write by async does that finds windowBytes on their way: it waits, or the source goes on without the target.',
  }),
  whenSplit: z.enum(['ask', 'discard-unchanged']).default('ask'),
  sizeBytes: z.int().min(sizeUnitBytes).multipleOf(sizeUnitBytes).optional(),
  elements: z.record(
    name,
    z.strictObject({
      device: devicePath,
      direct: z
        .boolean()
        .default(false)
        .meta({ description: 'Past the page cache: nothing of the disk is in memory a second time, and nothing is read from there.' }),
    }),
  ),
  undoJournal: z
    .record(
      name,
      z.strictObject({
        file: path,
        sizeBytes: z.int().min(smallestJournalBytes).default(defaultJournalBytes),
        whenFull: z.enum(['give-up', 'refuse']).default('give-up'),
      }),
    )
    .optional()
    .meta({ description: 'For each node that has one: where a resync keeps what it overwrites.' }),
  dataLink: z.record(name, linkAddress),
  export: z.record(name, exported).optional(),
  busyPollUs: z.int().min(0).max(longestBusyPollUs).default(0).meta({
    description:
      'How long the thread of this mirror waits for the next message before it sleeps, in microseconds: faster at depth 1, at the cost of a core while there is work.',
  }),
  limits: z
    .strictObject({
      windowBytes: z.int().min(65_536).max(largestWindowBytes).optional(),
      resyncWindowBytes: z.int().min(65_536).max(largestWindowBytes).optional(),
      ackDeadlineMs: durationMs.optional(),
      activeRegions: z.int().min(8).max(largestActiveRegions).optional(),
    })
    .prefault({}),
  verify: z
    .strictObject({
      everyHours: z.int().min(1).max(longestVerifyHours).optional().meta({ description: 'Absent: only when an operator asks.' }),
      digest: z.enum(digestNames).optional().meta({ description: 'By which elements are compared. Default: sha256.' }),
    })
    .prefault({}),
  resync: z
    .strictObject({
      minBytesPerSecond: z.int().min(leastResyncBytesPerSecond).optional(),
      maxBytesPerSecond: z.int().min(leastResyncBytesPerSecond).optional(),
      latencyTargetMs: durationMs.optional(),
    })
    .prefault({}),
});

/** The configuration file as it is written, with its plain defaults. Rules that span fields are in `config-rules.ts`. */
const fileSchema = z.strictObject({
  $schema: z.string().optional(),
  pair: name,
  auth: z.strictObject({ keyFile: path }).optional(),
  nodes: z.record(name, z.strictObject({ home: z.enum(['primary', 'standby']), stateDir: path, controlSocket: path })),
  mirrors: z.array(mirror).min(1),
  monitor: z.strictObject({
    intervalMs: durationMs.default(1000),
    deadlineMs: durationMs.default(5000),
    initialGraceMs: durationMs.optional().meta({ description: 'Default: 2 × deadlineMs.' }),
    leaseMs: durationMs.optional().meta({ description: 'Default: ¾ of deadlineMs.' }),
    detector: z
      .enum(detectors)
      .default('deadline')
      .meta({ description: 'What decides how long silence is borne: deadlineMs, or longer as learnt.' }),
    maxDeadlineMs: durationMs.optional().meta({ description: 'The longest that a detector which learns bears. Default: 3 × deadlineMs.' }),
    links: z.array(monitorLink).min(1),
    health: healthSchema({ name, argv, durationMs }),
  }),
  failover: z
    .strictObject({
      control: z.enum(['auto', 'manual']).default('auto'),
      whenAlone: z.enum(['continue', 'freeze', 'arbiter']).optional().meta({ description: 'Default: arbiter with one, else continue.' }),
      bootAlone: z.enum(['wait', 'serve']).default('wait'),
      platform,
      arbiter: z
        .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('operator') })], { error: notYet(['etcd', 'scsi'], ['operator']) })
        .optional(),
      stepDeadlineMs: durationMs.default(60_000),
      stepRetries: z.int().min(0).max(largestStepRetries).default(2),
    })
    .prefault({}),
});

/** What the file says, with its plain defaults. */
export interface FileConfig {
  readonly pair: string;
  readonly auth?: { readonly keyFile: string } | undefined;
  readonly nodes: Readonly<
    Record<string, { readonly home: 'primary' | 'standby'; readonly stateDir: string; readonly controlSocket: string }>
  >;
  readonly mirrors: readonly FileMirror[];
  readonly monitor: FileMonitor;
  readonly failover: FileFailover;
}

/** One node's element of a mirror. */
export interface ElementConfig {
  /** A path, or the NBD URI of an export. */
  readonly device: string;
  /** A file or block device is read and written past the page cache. */
  readonly direct: boolean;
}

/** One mirror as the file says it. */
export interface FileMirror {
  readonly name: string;
  readonly protocol: MirrorProtocol;
  readonly whenCongested: 'block' | 'pull-ahead';
  readonly whenSplit: 'ask' | 'discard-unchanged';
  readonly sizeBytes?: number | undefined;
  readonly elements: Readonly<Record<string, ElementConfig>>;
  readonly undoJournal?: Readonly<Record<string, FileJournal>> | undefined;
  readonly dataLink: Readonly<Record<string, FileAddress>>;
  readonly export?: Readonly<Record<string, string | FileExport>> | undefined;
  readonly busyPollUs: number;
  readonly limits: {
    readonly windowBytes?: number | undefined;
    readonly resyncWindowBytes?: number | undefined;
    readonly ackDeadlineMs?: number | undefined;
    readonly activeRegions?: number | undefined;
  };
  readonly verify: { readonly everyHours?: number | undefined; readonly digest?: DigestName | undefined };
  readonly resync: {
    readonly minBytesPerSecond?: number | undefined;
    readonly maxBytesPerSecond?: number | undefined;
    readonly latencyTargetMs?: number | undefined;
  };
}

/** Where a node listens on a link, as the file says it. */
export type FileAddress =
  string | { readonly listen: string; readonly advertise?: string | undefined; readonly tls?: LinkTlsFiles | undefined };

/** An export that speaks TLS. */
export interface FileExport {
  readonly uri: string;
  readonly tls: TlsFiles;
}

/** Where keys and certificates lie. */
export type TlsFiles =
  { readonly keyFile: string; readonly certificateFile: string; readonly caFile?: string | undefined } | { readonly pskFile: string };

interface FileJournal {
  readonly file: string;
  readonly sizeBytes: number;
  readonly whenFull: 'give-up' | 'refuse';
}

/** The monitor as the file says it. */
export interface FileMonitor {
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly initialGraceMs?: number | undefined;
  readonly leaseMs?: number | undefined;
  readonly detector: DetectorKind;
  readonly maxDeadlineMs?: number | undefined;
  readonly links: readonly ({ readonly name: string } & Readonly<Record<string, FileAddress>>)[];
  readonly health?: readonly HealthProbeConfig[] | undefined;
}

/** Failover as the file says it. */
export interface FileFailover {
  readonly control: 'auto' | 'manual';
  readonly whenAlone?: 'continue' | 'freeze' | 'arbiter' | undefined;
  readonly bootAlone: 'wait' | 'serve';
  readonly platform:
    { readonly kind: 'none' } | { readonly kind: 'command'; readonly commands: Readonly<Partial<Record<PlatformStep, FileCommand>>> };
  readonly arbiter?: { readonly kind: 'operator' } | undefined;
  readonly stepDeadlineMs: number;
  readonly stepRetries: number;
}

interface FileCommand {
  readonly argv: readonly string[];
  readonly deadlineMs?: number | undefined;
  readonly probe?: readonly string[] | undefined;
  readonly successCodes?: readonly number[] | undefined;
}

/** The file's form: all of it where nothing is wrong, else those sections that are well-formed, so that one mistake does not hide the others. */
export type ParsedFile =
  | { readonly file: FileConfig; readonly sections: FileConfig; readonly problems: readonly [] }
  | { readonly file: null; readonly sections: Partial<FileConfig>; readonly problems: readonly Problem[] };

/** Checks the form of a configuration file. */
export function parseFile(json: unknown): ParsedFile {
  const whole = fileSchema.safeParse(json, { reportInput: true });
  if (whole.success) return { file: whole.data, sections: whole.data, problems: [] };
  const fields: Readonly<Record<string, unknown>> = typeof json === 'object' && json !== null ? { ...json } : {};
  const sections = Object.entries(fileSchema.shape).flatMap(([key, section]) => {
    const parsed = section.safeParse(fields[key]);
    return parsed.success ? [[key, parsed.data]] : [];
  });
  const problems = whole.error.issues.flatMap((issue) => issueProblems(issue, []));
  return { file: null, sections: Object.fromEntries(sections) as Partial<FileConfig>, problems };
}

/** The form of the file as a JSON Schema. */
export function fileJsonSchema(): object {
  return z.toJSONSchema(fileSchema, { io: 'input' });
}

/** One thing wrong with the configuration, and where. */
export interface Problem {
  /** As in `mirrors[0].elements.alpha.device`. */
  readonly path: string;
  /** As in `must be at least 2 × intervalMs`. */
  readonly problem: string;
}

/** Words zod's issues as problems; one issue about several keys becomes several. */
function issueProblems(issue: z.core.$ZodIssue, within: readonly PropertyKey[]): Problem[] {
  const at = [...within, ...issue.path];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: formatPath([...at, key]), problem: 'unknown key' }));
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const branch = issue.errors.find((issues) => issues[0]?.code !== 'invalid_type' || issues[0].path.length > 0) ?? issue.errors[0];
    if (typeof issue.input === 'object') return (branch ?? []).flatMap((inner) => issueProblems(inner, at));
  }
  return [{ path: formatPath(at), problem: issueProblem(issue) }];
}

function issueProblem(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${typeNames[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return issue.origin === 'string'
        ? 'must not be empty'
        : `must ${issue.origin === 'array' ? 'have' : 'be'} at least ${String(issue.minimum)}`;
    case 'too_big':
      return issue.origin === 'string' ? issue.message : `must be at most ${String(issue.maximum)}`;
    case 'invalid_value':
      if (issue.input === undefined) return 'is required';
      return issue.message.startsWith('Invalid') ? `must be ${listed(issue.values.map(String))}` : issue.message;
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message;
    default:
      return issue.message;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  int: 'a whole number',
  number: 'a whole number',
};

function listed(values: readonly string[]): string {
  return values.map((value) => `"${value}"`).join(' or ');
}

/** `['mirrors', 0, 'name']` as `mirrors[0].name`; the file itself as `(file)`. */
export function formatPath(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${String(key)}]` : `.${String(key)}`)).join('');
  return text.replace(/^\./, '') || '(file)';
}
