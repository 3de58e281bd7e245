import { expect } from 'chai';

import { healthNews, isProbeText, maxProbeTextLength, probeText } from '../src/health.ts';
import type { HealthState, ProbeReport } from '../src/health.ts';

const probe = (state: HealthState, text?: string): ProbeReport => ({ name: 'web', state, ...(text === undefined ? {} : { text }) });

describe('What is told of health probes', () => {
  const told = (before: readonly ProbeReport[], after: readonly ProbeReport[]): readonly string[] =>
    healthNews('alpha', before, after).map(({ class: eventClass, rule = '', text }) => `${String(eventClass)} ${rule} ${text}`);

  it('is that one failed, of class 1, and that it fails no longer, of class 0 (watch.all)', () => {
    expect(told([probe('ok')], [probe('failed', 'exited with 2')])).to.deep.equal([
      '1 watch.all Health probe web of alpha is failed (was ok): exited with 2.',
    ]);
    expect(told([probe('failed', 'exited with 2')], [probe('ok')])).to.deep.equal([
      '0 watch.all Health probe web of alpha is ok (was failed).',
    ]);
    expect(told([probe('failed')], [probe('unknown')])).to.have.length(1);
    expect(told([], [probe('failed')])).to.have.length(1);
    expect(told([probe('failed')], [])).to.deep.equal(['0 watch.all Health probe web of alpha is unknown (was failed).']);
  });

  it('is nothing while none fails, or one fails for another reason', () => {
    expect(told([], [probe('ok')])).to.deep.equal([]);
    expect(told([probe('ok')], [probe('unknown')])).to.deep.equal([]);
    expect(told([probe('ok')], [])).to.deep.equal([]);
    expect(told([probe('failed', 'this')], [probe('failed', 'that')])).to.deep.equal([]);
  });
});

describe('The text of a health probe', () => {
  it('is one short line that moves no cursor', () => {
    expect(probeText(' no\r\n\u001B[2Jresponse\u0000 ')).to.equal('no [2Jresponse');
    expect(probeText('x'.repeat(1_000))).to.have.length(maxProbeTextLength);
  });

  it('is never what the peer would refuse, wherever it is cut', () => {
    for (const said of ['', '\n', 'ä\u202Eb', '\uD83D', `${'x'.repeat(maxProbeTextLength - 1)}😀`, '😀'.repeat(100)])
      expect(isProbeText(probeText(said)), JSON.stringify(said)).to.equal(true);
    for (const hostile of ['a\nb', '\u001B[2J', '\uD83D', 'x'.repeat(maxProbeTextLength + 1)])
      expect(isProbeText(hostile), JSON.stringify(hostile)).to.equal(false);
  });
});
