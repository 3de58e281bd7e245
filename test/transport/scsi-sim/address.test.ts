import { expect } from 'chai';

import { formatScsiUrl, parseScsiUrl } from '../../../src/transport/scsi-sim/index.ts';

describe('transport/scsi-sim/address', () => {
  for (const [text, address] of [
    ['scsi-sim:bus.sock?id=7', { file: 'bus.sock', id: 7 }],
    ['SCSI-SIM:/srv/pair/bus?id=0', { file: '/srv/pair/bus', id: 0 }],
    ['scsi-sim:bus.sock?id=7&mailbox=0', { file: 'bus.sock', id: 7, mailbox: 0 }],
    ['scsi-sim:bus.sock?mailbox=15&id=6', { file: 'bus.sock', id: 6, mailbox: 15 }],
    ['scsi-sim:a%3fb%25?id=15', { file: 'a?b%', id: 15 }],
  ] as const) {
    it(`reads ${text}`, () => {
      expect(parseScsiUrl(text)).to.deep.equal(address);
      expect(parseScsiUrl(formatScsiUrl(address))).to.deep.equal(address);
    });
  }

  for (const [text, problem] of [
    ['tcp://h:1', 'not the address of a simulated SCSI bus'],
    ['scsi-sim:?id=7', 'the file is missing'],
    ['scsi-sim://host/bus?id=7', 'the file is missing'],
    ['scsi-sim:bus', 'the id is missing'],
    ['scsi-sim:bus?id=16', '16 is no id'],
    ['scsi-sim:bus?id=-1', '-1 is no id'],
    ['scsi-sim:bus?id=', ' is no id'],
    ['scsi-sim:bus?id=7&id=6', 'id does not belong there'],
    ['scsi-sim:bus?id=7&mailbox=16', '16 is no mailbox'],
    ['scsi-sim:bus?id=7&mailbox', ' is no mailbox'],
    ['scsi-sim:bus?id=7&lun=0', 'lun does not belong there'],
    ['scsi-sim:bus?id=7#x', '#x does not belong there'],
    ['scsi-sim:b%zz?id=7', 'the file has a % that stands for nothing'],
  ] as const) {
    it(`refuses ${text}`, () =>
      expect(() => parseScsiUrl(text))
        .to.throw(problem)
        .with.property('code', 'HM_ADDRESS'));
  }
});
