import { HotMirrorError } from '../../errors.ts';
import type { SalvageFile, SalvageReport } from '../../node/read-salvage.ts';
import { openSalvage, reportSalvage, salvagedExtent } from '../../node/read-salvage.ts';
import type { Command, ExitCode, Invocation } from '../command.ts';
import { exitCodes, flag, optionText, print } from '../command.ts';
import { formatBytes } from '../table.ts';

/** Reads what a node kept of an element that gave way; needs neither a node nor a configuration. */
export const salvageCommand: Command = {
  name: 'salvage',
  usage: 'ls|cat FILE',
  summary: 'lists what a salvage file holds, or writes it to standard output',
  options: { extent: { type: 'string', value: 'N', help: 'cat: this extent only; default: all, in the order of the disk' } },
  words: [['ls', 'cat'], []],
  common: ['json'],
  async run(invocation) {
    const [action, path = ''] = invocation.positionals;
    const extent = extentOf(invocation);
    const file = await openSalvage(path);
    try {
      return action === 'ls' ? await list(invocation, file) : await write(invocation, file, extent);
    } finally {
      await file.close();
    }
  },
};

async function list(invocation: Invocation, file: SalvageFile): Promise<ExitCode> {
  const report = await reportSalvage(file);
  print(invocation, { schema: 1, ...report }, describe);
  return report.damaged.length + report.unreadable.length > 0 ? exitCodes.findings : exitCodes.done;
}

async function write(invocation: Invocation, file: SalvageFile, extent: number | null): Promise<ExitCode> {
  if (flag(invocation, 'json')) throw new HotMirrorError('HM_USAGE', 'salvage cat writes bytes, no JSON');
  const wanted = extent === null ? [...file.log.runs()] : [{ first: extent, count: 1 }];
  for (const { first, count } of wanted) {
    for (let at = first; at < first + count; at += 1) {
      const image = await salvagedExtent(file, at);
      if (!image || image.bytes.byteLength === 0)
        throw new HotMirrorError('HM_SALVAGE', `extent ${String(at)} is not in the file, or not whole`);
      await invocation.io.outBytes(image.bytes);
    }
  }
  return exitCodes.done;
}

function extentOf(invocation: Invocation): number | null {
  const text = optionText(invocation, 'extent');
  if (text === undefined) return null;
  if (!/^\d+$/u.test(text)) throw new HotMirrorError('HM_USAGE', '--extent is the number of an extent');
  return Number(text);
}

function describe({ header, saved, unreadable, damaged }: SalvageReport): string {
  const { kind, mirror, node, mirrorId, generation, sizeBytes, extentBytes, time, finished } = header;
  const extents = saved.reduce((sum, { count }) => sum + count, 0);
  const range = ({ first, count }: { readonly first: number; readonly count: number }): string =>
    `  ${String(first)}${count === 1 ? '' : ` to ${String(first + count - 1)}`}`;
  return [
    `${kind} of ${mirror} (${mirrorId}) on ${node}, ${formatBytes(sizeBytes)}, generation ${generation}, begun ${time}`,
    `${String(extents)} extents of ${formatBytes(extentBytes)}; ${finished ? 'the element was overwritten to the end' : 'the element was not overwritten to the end'}`,
    ...saved.map(range),
    ...(unreadable.length === 0 ? [] : [`not whole: extents ${unreadable.join(', ')}`]),
    ...(damaged.length === 0 ? [] : [`damaged: records ${damaged.join(', ')}`]),
  ].join('\n');
}
