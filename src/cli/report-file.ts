import { HotMirrorError } from '../errors.ts';
import type { Invocation } from './command.ts';
import { optionText } from './command.ts';

/** The file of `--report`, found fit to be written before anything is run; null without the option. Rejects with `HM_USAGE`. */
export async function reportFile(invocation: Invocation): Promise<string | null> {
  const file = optionText(invocation, 'report');
  if (file === undefined) return null;
  if (file === '') throw new HotMirrorError('HM_USAGE', '--report needs the name of a file');
  // Loaded here, for the page that it belongs to is large and few commands write one.
  const { checkReportFile } = await import('../node/timeline-report.ts');
  await checkReportFile(file);
  return file;
}
