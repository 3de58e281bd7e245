import { cpuSecondsOf, peakMebibytesOf } from '../support/proc.ts';
import { Workplace } from '../support/processes.ts';
import type { FioResult } from './fio.ts';
import { fioArguments, parseFio } from './fio.ts';
import { forgetImages } from './images.ts';
import type { Medium, Settings } from './settings.ts';
import type { ServingSubject, Subject } from './subject.ts';
import { workloads } from './workload.ts';
import type { Workload } from './workload.ts';

const gibibyte = 2 ** 30;
const warmUps: readonly Workload[] = [workloads[1]!, workloads[5]!];

/** One run of a workload on a subject. */
export interface Sample extends FioResult {
  /** Of all processes that serve. */
  readonly cpuSecondsPerGibibyte: number;
}

/** What a subject did of a workload in each round. */
export interface Cell {
  readonly subject: string;
  readonly workload: Workload;
  readonly samples: Sample[];
}

/** Everything measured on one medium. */
export interface Measured {
  readonly medium: Medium;
  readonly subjects: readonly string[];
  readonly cells: readonly Cell[];
  /** By subject: the most memory that its processes had in use. */
  readonly peakMebibytes: ReadonlyMap<string, number>;
  /** By subject that keeps two copies: whether they were the same at the end. */
  readonly identical: ReadonlyMap<string, boolean>;
}

interface Stand {
  readonly subject: Subject;
  readonly place: Workplace;
  readonly serving: ServingSubject;
}

/** Every subject does every workload in each round, in turn, so that what disturbs the machine disturbs all of them. */
export async function measureWorkloads(medium: Medium, subjects: readonly Subject[], settings: Settings): Promise<Measured> {
  const places = subjects.map(() => new Workplace(medium.parent));
  try {
    const stands = await Promise.all(subjects.map((subject, at) => stand(subject, places[at]!, settings)));
    for (const warmUp of warmUps) for (const each of stands) await sampleOf(each, warmUp, settings);
    const fitting = workloads.filter(({ cold }) => !cold || medium.name === 'disk');
    const cells = fitting.flatMap((workload) => stands.map((each) => ({ each, workload, samples: [] as Sample[] })));
    for (let round = 1; round <= settings.rounds; round += 1) {
      console.error(`${medium.name}: round ${String(round)} of ${String(settings.rounds)}`);
      for (const { each, workload, samples } of cells) samples.push(await sampleOf(each, workload, settings));
    }
    return {
      medium,
      subjects: subjects.map(({ name }) => name),
      cells: cells.map(({ each, workload, samples }) => ({ subject: each.subject.name, workload, samples })),
      peakMebibytes: new Map(stands.map(({ subject, serving }) => [subject.name, peakMebibytesOf(serving.pids)])),
      identical: await identicalOf(stands),
    };
  } finally {
    for (const place of places) await place.end();
  }
}

async function stand(subject: Subject, place: Workplace, { sizeBytes }: Settings): Promise<Stand> {
  return { subject, place, serving: await subject.start(place, sizeBytes) };
}

async function sampleOf({ place, serving }: Stand, workload: Workload, { sizeBytes, seconds }: Settings): Promise<Sample> {
  if (workload.cold) await forgetImages(place, serving.images);
  const before = cpuSecondsOf(serving.pids);
  const printed = await place.run('fio', fioArguments(workload, { uris: [serving.uri], sizeBytes, seconds }));
  const cpuSeconds = cpuSecondsOf(serving.pids) - before;
  const result = parseFio(printed, workload);
  return { ...result, cpuSecondsPerGibibyte: (cpuSeconds * gibibyte) / result.bytes };
}

async function identicalOf(stands: readonly Stand[]): Promise<ReadonlyMap<string, boolean>> {
  const identical = new Map<string, boolean>();
  for (const { subject, place, serving } of stands) {
    if (subject.copies === 1) continue;
    identical.set(
      subject.name,
      await place.run('cmp', ['-s', ...serving.images]).then(
        () => true,
        () => false,
      ),
    );
  }
  return identical;
}
