import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { parseNetDiskUri } from '../../src/net-disk/net-disk-address.ts';
import type { PairConfig } from '../../src/node/config.ts';
import { homesOf, isUnfenced, loadConfig, pairJsonSchema, parseConfig, peerOf } from '../../src/node/config.ts';
import { exportWarnings } from '../../src/node/export-places.ts';
import { withFolder } from './temporary-folder.ts';

const folder = '/srv/pair';
const example = new URL('../../../test/support/office-pair.json', import.meta.url);

/** A change to the example: a new value for each path, or {@link absent}. */
type Changes = Readonly<Record<string, unknown>>;

const absent = Symbol('absent');

async function exampleWith(changes: Changes = {}): Promise<unknown> {
  const file = JSON.parse(await readFile(example, 'utf8')) as Record<string, unknown>;
  for (const [where, value] of Object.entries(changes)) {
    const keys = where.split(/[.[\]]+/).filter((key) => key !== '');
    const last = keys.pop() ?? '';
    const holder = keys.reduce((inner, key) => inner[key] as Record<string, unknown>, file);
    if (value === absent) Reflect.deleteProperty(holder, last);
    else holder[last] = value;
  }
  return file;
}

async function problemsOf(changes: Changes): Promise<string[]> {
  const file = await exampleWith(changes);
  try {
    parseConfig(file, { folder });
  } catch (error) {
    expect(error).to.be.instanceOf(HotMirrorError);
    expect((error as HotMirrorError).code).to.equal('HM_CONFIG');
    return (error as HotMirrorError).message.split('\n');
  }
  return [];
}

async function parsed(changes: Changes = {}): Promise<PairConfig> {
  return parseConfig(await exampleWith(changes), { folder });
}

const anotherMirror = {
  name: 'files',
  elements: { north: { device: 'north/other.img' }, south: { device: 'south/other.img' } },
  dataLink: { north: 'tcp://127.0.0.1:7803', south: 'tcp://127.0.0.1:7804' },
};

describe('configuration', () => {
  it('has no health probes, or a list of programs with their defaults', async () => {
    expect((await parsed()).monitor.health).to.equal(null);
    expect((await parsed({ 'monitor.health': [] })).monitor.health).to.deep.equal([]);
    const { monitor } = await parsed({ 'monitor.health': [{ name: 'web', argv: ['curl', '-sf', 'http://127.0.0.1/'] }] });
    expect(monitor.health).to.deep.equal([
      { name: 'web', argv: ['curl', '-sf', 'http://127.0.0.1/'], when: 'always', everyMs: 5_000, deadlineMs: 2_000 },
    ]);
  });

  it('refuses health probes that make no sense', async () => {
    const probe = { name: 'web', argv: ['true'] };
    expect(
      await problemsOf({
        'monitor.health': [{ ...probe, name: 'lag', argv: [], when: 'passive', everyMs: 0, deadlineMs: 0.5, shell: true }],
      }),
    ).to.deep.equal([
      'monitor.health[0].name: "lag" is the name of what each node looks at by itself',
      'monitor.health[0].argv: must have at least 1',
      'monitor.health[0].when: must be "always" or "serving"',
      'monitor.health[0].everyMs: must be at least 1',
      'monitor.health[0].deadlineMs: must be a whole number',
      'monitor.health[0].shell: unknown key',
    ]);
    expect(await problemsOf({ 'monitor.health': [probe, probe] })).to.deep.equal(['monitor.health: two probes have the same name']);
    const many = Array.from({ length: 16 }, (_each, index) => ({ ...probe, name: `p${String(index)}` }));
    expect(await problemsOf({ 'monitor.health': many })).to.deep.equal(['monitor.health: must be at most 15']);
  });

  it('accepts the example that ships with the package', async () => {
    const { config } = await loadConfig(new URL('../../../examples/pair.json', import.meta.url).pathname);
    expect(Object.keys(config.nodes)).to.deep.equal(['alpha', 'beta']);
  });

  it('accepts the example and resolves its paths against its folder', async () => {
    const { config, folder: from } = await loadConfig(example.pathname);
    expect(from).to.equal(path.dirname(example.pathname));
    expect(config.nodes['north']?.stateDir).to.equal(path.join(from, 'north/state'));
    expect(config.mirrors[0]?.elements['south']?.device).to.equal(path.join(from, 'south/files.img'));
    expect(config.auth?.keyFile).to.equal(path.join(from, 'pair.key'));
    expect(config.monitor.links[0]).to.deep.equal({
      name: 'net',
      addresses: {
        north: { listen: 'tcp://127.0.0.1:7811', advertise: 'tcp://127.0.0.1:7811' },
        south: { listen: 'tcp://127.0.0.1:7812', advertise: 'tcp://127.0.0.1:7812' },
      },
    });
  });

  it('takes NBD servers for elements, with their sockets from its folder', async () => {
    const deviceOf = async (device: string): Promise<string | undefined> =>
      (await parsed({ 'mirrors[0].elements.north.device': device })).mirrors[0]?.elements['north']?.device;
    expect(await deviceOf('nbd://192.0.2.1:10809/files')).to.equal('nbd://192.0.2.1:10809/files');
    expect(await deviceOf('nbd+unix:///files?socket=north/disk%201.nbd')).to.equal('nbd+unix:///files?socket=/srv/pair/north/disk%201.nbd');
    expect(parseNetDiskUri((await deviceOf('nbd+unix:///?socket=a%26b')) ?? '').address).to.deep.equal({ path: '/srv/pair/a&b' });
  });

  it('takes a simulated SCSI bus for a monitor link, with its file from its folder and without a key', async () => {
    const { monitor } = await parsed({
      auth: absent,
      'monitor.links[0].north': 'scsi-sim:buses/a?id=7',
      'monitor.links[0].south': 'scsi-sim:buses/a?id=15',
    });
    expect(monitor.links[0]?.addresses).to.deep.equal({
      north: { listen: 'scsi-sim:/srv/pair/buses/a?id=7', advertise: 'scsi-sim:/srv/pair/buses/a?id=7' },
      south: { listen: 'scsi-sim:/srv/pair/buses/a?id=15', advertise: 'scsi-sim:/srv/pair/buses/a?id=15' },
    });
  });

  it('takes a mailbox on a simulated SCSI bus, also beside messages over the same bus', async () => {
    const { monitor } = await parsed({
      ...{ 'monitor.links[0].north': 'scsi-sim:bus?id=7', 'monitor.links[0].south': 'scsi-sim:bus?id=6' },
      ...{ 'monitor.links[1].north': 'scsi-sim:bus?id=5&mailbox=0', 'monitor.links[1].south': 'scsi-sim:bus?id=4&mailbox=0' },
    });
    expect(monitor.links[1]?.addresses['south']?.listen).to.equal('scsi-sim:/srv/pair/bus?id=4&mailbox=0');
  });

  it('fills in the defaults', async () => {
    const config = await parsed({
      failover: absent,
      'monitor.intervalMs': absent,
      'monitor.deadlineMs': absent,
      'monitor.initialGraceMs': absent,
      'mirrors[0].protocol': absent,
      'mirrors[0].export': absent,
    });
    expect(config.failover).to.deep.equal({
      control: 'auto',
      whenAlone: 'continue',
      bootAlone: 'wait',
      platform: { kind: 'none' },
      arbiter: null,
      stepDeadlineMs: 60_000,
      stepRetries: 2,
    });
    expect(config.monitor).to.include({ intervalMs: 1000, deadlineMs: 5000, initialGraceMs: 10_000, leaseMs: 3750 });
    expect(config.mirrors[0]).to.deep.include({ protocol: 'sync', export: {}, limits: {}, busyPollUs: 0 });
    expect(Object.values(config.mirrors[0]?.elements ?? {}).map(({ direct }) => direct)).to.deep.equal([false, false]);
  });

  it('makes arbiter the default of whenAlone where there is one', async () => {
    const config = await parsed({ 'failover.whenAlone': absent, 'failover.arbiter': { kind: 'operator' } });
    expect(config.failover.whenAlone).to.equal('arbiter');
    expect(isUnfenced(config)).to.equal(false);
  });

  it('tells the homes and the peer', async () => {
    const config = await parsed();
    expect(homesOf(config)).to.deep.equal({ primary: 'north', standby: 'south' });
    expect(peerOf(config, 'south')).to.equal('north');
    expect(() => peerOf(config, 'east')).to.throw('no node is called "east"');
  });

  it('lists everything that is wrong at once', async () => {
    const problems = await problemsOf({
      colour: 'red',
      'monitor.deadlineMs': 300,
      'mirrors[0].elements.gamma': { device: 'x' },
      'failover.platform': { kind: 'linux' },
    });
    expect(problems).to.have.members([
      'colour: unknown key',
      'failover.platform.kind: "linux" is not in this version; use "none" or "command"',
      'mirrors[0].elements.gamma: no such node',
      'monitor.deadlineMs: must be at least 2 × intervalMs',
    ]);
  });

  const cases: readonly (readonly [string, Changes, string])[] = [
    ['an unknown key', { 'monitor.speed': 1 }, 'monitor.speed: unknown key'],
    ['a missing key', { 'nodes.north.stateDir': absent }, 'nodes.north.stateDir: is required'],
    ['a wrong type', { 'monitor.intervalMs': '1' }, 'monitor.intervalMs: must be a whole number'],
    ['a fraction', { 'monitor.intervalMs': 1.5 }, 'monitor.intervalMs: must be a whole number'],
    ['a value too small', { 'monitor.intervalMs': 0 }, 'monitor.intervalMs: must be at least 1'],
    ['a value too large', { 'monitor.deadlineMs': 1e9 }, 'monitor.deadlineMs: must be at most 86400000'],
    ['timing.deadline', { 'monitor.deadlineMs': 399 }, 'monitor.deadlineMs: must be at least 2 × intervalMs'],
    ['timing.grace', { 'monitor.initialGraceMs': 1999 }, 'monitor.initialGraceMs: must be at least 2 × deadlineMs'],
    ['timing.lease', { 'monitor.leaseMs': 1000 }, 'monitor.leaseMs: must be less than deadlineMs'],
    ['three nodes', { 'nodes.east': { home: 'standby', stateDir: 'e', controlSocket: 'e.sock' } }, 'nodes: must be exactly two'],
    ['two primaries', { 'nodes.south.home': 'primary' }, 'nodes: must have exactly one with home "primary"'],
    ['an unknown home', { 'nodes.south.home': 'both' }, 'nodes.south.home: must be "primary" or "standby"'],
    ['no mirror', { mirrors: [] }, 'mirrors: must have at least 1'],
    ['two mirrors of one name', { 'mirrors[1]': anotherMirror }, 'mirrors[1].name: the same as mirrors[0].name'],
    ['a mirror that is no file name', { 'mirrors[0].name': '../m' }, 'mirrors[0].name: must begin with a letter or digit'],
    ['an element short', { 'mirrors[0].elements.south': absent }, 'mirrors[0].elements.south: is required'],
    ['a data link short', { 'mirrors[0].dataLink.north': absent }, 'mirrors[0].dataLink.north: is required'],
    ['an export of no node', { 'mirrors[0].export.east': 'nbd://h/m' }, 'mirrors[0].export.east: no such node'],
    ['an export without socket', { 'mirrors[0].export.north': 'nbd+unix:///m' }, 'mirrors[0].export.north: needs ?socket=PATH'],
    ['an export of another kind', { 'mirrors[0].export.north': 'http://h/m' }, 'mirrors[0].export.north: must be an NBD URI'],
    [
      'an export that is neither',
      { 'mirrors[0].export.north': 7 },
      'mirrors[0].export.north: must be an NBD URI or { "uri": URI, "tls": FILES }',
    ],
    [
      'TLS without files',
      { 'mirrors[0].export.north': 'nbds+unix:///m?socket=s' },
      'mirrors[0].export.north: nbds needs { "uri": URI, "tls"',
    ],
    [
      'a key without its certificate',
      { 'mirrors[0].export.north': { uri: 'nbds://h/m', tls: { keyFile: 'k' } } },
      'mirrors[0].export.north.tls.certificateFile: is required',
    ],
    [
      'certificates and pre-shared keys at once',
      { 'mirrors[0].export.north': { uri: 'nbds://h/m', tls: { keyFile: 'k', certificateFile: 'c', pskFile: 'p' } } },
      'mirrors[0].export.north.tls.pskFile: unknown key',
    ],
    ['an unknown protocol', { 'mirrors[0].protocol': 'C' }, 'mirrors[0].protocol: must be "sync" or "memsync" or "async"'],
    ['a verify each half hour', { 'mirrors[0].verify': { everyHours: 0.5 } }, 'mirrors[0].verify.everyHours: must be a whole number'],
    ['a verify that is always due', { 'mirrors[0].verify': { everyHours: 0 } }, 'mirrors[0].verify.everyHours: must be at least 1'],
    ['a weak digest', { 'mirrors[0].verify': { digest: 'md5' } }, 'mirrors[0].verify.digest: must be "sha256" or "sha512" or "blake2b512"'],
    ['a device behind a URL', { 'mirrors[0].elements.north.device': 'iscsi://h/m' }, 'mirrors[0].elements.north.device: must be a path'],
    ['a busy poll without an end', { 'mirrors[0].busyPollUs': 100_000 }, 'mirrors[0].busyPollUs: '],
    ['a wish that is no wish', { 'mirrors[0].elements.north.direct': 'yes' }, 'mirrors[0].elements.north.direct: '],
    [
      'past the page cache of an NBD server',
      { 'mirrors[0].elements.north.device': 'nbd://h/m', 'mirrors[0].elements.north.direct': true },
      'mirrors[0].elements.north.direct: is for a file or block device; leave it out',
    ],
    ['a device behind TLS', { 'mirrors[0].elements.north.device': 'nbds://h/m' }, 'mirrors[0].elements.north.device: TLS to the server'],
    ['a device without socket', { 'mirrors[0].elements.north.device': 'nbd+unix:///m' }, 'mirrors[0].elements.north.device: needs ?socket'],
    ['two links of one name', { 'monitor.links[1].name': 'net' }, 'monitor.links[1].name: the same as monitor.links[0].name'],
    ['a link of no node', { 'monitor.links[0].east': 'tcp://127.0.0.1:1' }, 'monitor.links[0].east: no such node'],
    ['a link end short', { 'monitor.links[0].south': absent }, 'monitor.links[0].south: is required'],
    [
      'half a serial line',
      { 'monitor.links[0].north': 'serial:/dev/ttyS0?baudRate=115200' },
      'monitor.links[0].south: must be of the same kind at both ends',
    ],
    [
      'a SCSI bus at one end',
      { 'monitor.links[0].north': 'scsi-sim:bus?id=7' },
      'monitor.links[0].south: must be of the same kind at both ends',
    ],
    ['a SCSI bus without an id', { 'monitor.links[0].north': 'scsi-sim:bus' }, 'monitor.links[0].north: must be scsi-sim:FILE?id=7'],
    ['a SCSI id beyond 15', { 'monitor.links[0].north': 'scsi-sim:bus?id=16' }, 'monitor.links[0].north: must be scsi-sim:FILE?id=7'],
    [
      'a SCSI id that both nodes take',
      { 'monitor.links[0].north': 'scsi-sim:bus?id=7', 'monitor.links[0].south': 'scsi-sim:bus?id=7' },
      'monitor.links[0].south: the same as monitor.links[0].north',
    ],
    [
      'a SCSI id that two links take, one of them through a mailbox',
      {
        ...{ 'monitor.links[0].north': 'scsi-sim:bus?id=7', 'monitor.links[0].south': 'scsi-sim:bus?id=6' },
        ...{ 'monitor.links[1].north': 'scsi-sim:bus?id=7&mailbox=0', 'monitor.links[1].south': 'scsi-sim:bus?id=4&mailbox=0' },
      },
      'monitor.links[1].north: the same as monitor.links[0].north: each end of each link takes an id of its own',
    ],
    [
      'a mailbox at one end',
      { 'monitor.links[0].north': 'scsi-sim:bus?id=7', 'monitor.links[0].south': 'scsi-sim:bus?id=6&mailbox=0' },
      'monitor.links[0].south: must name the same mailbox at both ends, or neither',
    ],
    [
      'two mailboxes for one link',
      { 'monitor.links[0].north': 'scsi-sim:bus?id=7&mailbox=1', 'monitor.links[0].south': 'scsi-sim:bus?id=6&mailbox=0' },
      'monitor.links[0].south: must name the same mailbox at both ends, or neither',
    ],
    [
      'a mailbox that no unit holds',
      { 'monitor.links[0].north': 'scsi-sim:bus?id=7&mailbox=16' },
      'monitor.links[0].north: must be scsi-sim:FILE?id=7 or scsi-sim:FILE?id=7&mailbox=0, with an id and a mailbox from 0 to 15',
    ],
    [
      'a mailbox that cannot connect within half a deadline',
      {
        ...{ 'monitor.intervalMs': 100, 'monitor.deadlineMs': 359 },
        ...{ 'monitor.links[0].north': 'scsi-sim:bus?id=7&mailbox=0', 'monitor.links[0].south': 'scsi-sim:bus?id=6&mailbox=0' },
      },
      'monitor.deadlineMs: must be at least 360 with scsi-sim:bus?id=7&mailbox=0',
    ],
    [
      'two SCSI buses for one link',
      { 'monitor.links[0].north': 'scsi-sim:bus?id=7', 'monitor.links[0].south': 'scsi-sim:other?id=6' },
      'monitor.links[0].south: must name the same file at both ends',
    ],
    [
      'a SCSI bus with another address for the peer',
      {
        'monitor.links[0].north': { listen: 'scsi-sim:bus?id=7', advertise: 'scsi-sim:bus?id=5' },
        'monitor.links[0].south': 'scsi-sim:bus?id=6',
      },
      'monitor.links[0].north: must be a URL: each node opens its own end',
    ],
    [
      'a SCSI bus as a data link',
      { 'mirrors[0].dataLink.north': 'scsi-sim:bus?id=7' },
      'mirrors[0].dataLink.north: scsi-sim: is for tokens only; a data link needs tcp://host:port',
    ],
    [
      'a serial line of no rate',
      { 'monitor.links[0].north': 'serial:/dev/ttyS0' },
      'monitor.links[0].north: "serial:/dev/ttyS0": baudRate is missing',
    ],
    [
      'a serial line too slow to connect within half a deadline',
      { 'monitor.links[0].north': 'serial:/dev/ttyS0?baudRate=1200', 'monitor.links[0].south': 'serial:/dev/ttyS0?baudRate=1200' },
      'monitor.deadlineMs: must be at least 35000 with serial:/dev/ttyS0?baudRate=1200',
    ],
    [
      'a serial data link too slow for a write',
      {
        'mirrors[0].dataLink.north': 'serial:/dev/ttyS0?baudRate=115200',
        'mirrors[0].dataLink.south': 'serial:/dev/ttyS0?baudRate=115200',
      },
      'monitor.deadlineMs: must be at least 182046 with serial:/dev/ttyS0?baudRate=115200',
    ],
    ['a device in the folder', { 'monitor.links[0].north': 'serial:ttyS0?baudRate=9600' }, 'monitor.links[0].north: needs a device with'],
    ['no URL', { 'monitor.links[0].north': 'net' }, 'monitor.links[0].north: must be a URL'],
    ['no port', { 'monitor.links[0].north': 'tcp://127.0.0.1' }, 'monitor.links[0].north: needs a port'],
    ['more than host and port', { 'monitor.links[0].north': 'tcp://127.0.0.1:1/x' }, 'monitor.links[0].north: must be tcp://host:port and'],
    ['half an address', { 'monitor.links[0].north': { listen: 'tcp://127.0.0.1:1' } }, 'monitor.links[0].north.advertise: is required'],
    [
      'TLS at one node of a link',
      { 'monitor.links[0].north': { listen: 'tcp://127.0.0.1:1', tls: { pskFile: 'keys.psk' } } },
      'monitor.links[0].south.tls: must be of the same kind as that of north',
    ],
    [
      'a certificate without an authority',
      { 'monitor.links[0].north': { listen: 'tcp://127.0.0.1:1', tls: { keyFile: 'key.pem', certificateFile: 'cert.pem' } } },
      'monitor.links[0].north.tls.caFile: is required',
    ],
    ['a number for an address', { 'monitor.links[0].north': 7 }, 'monitor.links[0].north: must be a URL or'],
    [
      'one listener twice',
      { 'monitor.links[0].north': 'tcp://127.0.0.1:7801' },
      'monitor.links[0].north: the same as mirrors[0].dataLink.north',
    ],
    ['an arbiter that is not there', { 'failover.whenAlone': 'arbiter' }, 'failover.whenAlone: "arbiter" needs failover.arbiter'],
    ['an arbiter to come', { 'failover.arbiter': { kind: 'etcd' } }, 'failover.arbiter.kind: "etcd" is not in this version'],
    [
      'a step that outlasts its deadline',
      { 'failover.platform': { kind: 'command', commands: { fsck: { argv: ['fsck'], deadlineMs: 60_001 } } } },
      'failover.platform.commands.fsck.deadlineMs: must be at most failover.stepDeadlineMs',
    ],
    [
      'an export where a link of its node listens',
      { 'mirrors[0].export.north': 'nbd://127.0.0.1:7811/m' },
      'mirrors[0].export.north: listens in the same place as monitor.links[0].north',
    ],
    [
      'an export at every address, and a link at one of them',
      { 'mirrors[0].export.north': { uri: 'nbds://0.0.0.0:7811/m', tls: { pskFile: 'p' } } },
      'mirrors[0].export.north: listens in the same place as monitor.links[0].north',
    ],
    [
      'an export where commands are asked',
      { 'mirrors[0].export.north': 'nbd+unix:///m?socket=./north/../north/control.sock' },
      'mirrors[0].export.north: listens in the same place as nodes.north.controlSocket',
    ],
    [
      'two exports in one place',
      {
        'mirrors[0].export.north': 'nbd://127.0.0.1:10809/m',
        'mirrors[1]': { ...anotherMirror, export: { north: 'nbd://127.0.0.1/files2' } },
      },
      'mirrors[1].export.north: listens in the same place as mirrors[0].export.north',
    ],
    ['a port that is none', { 'mirrors[0].export.north': 'nbd://127.0.0.1:99999/m' }, 'mirrors[0].export.north: 99999 is no port'],
    [
      'an unknown step',
      { 'failover.platform': { kind: 'command', commands: { dance: { argv: ['x'] } } } },
      'failover.platform.commands.dance: unknown key',
    ],
    [
      'a command of nothing',
      { 'failover.platform': { kind: 'command', commands: { fsck: { argv: [] } } } },
      'failover.platform.commands.fsck.argv: must have at least 1',
    ],
    [
      'a node called name',
      { 'nodes.name': { home: 'standby', stateDir: 'e', controlSocket: 'e.sock' } },
      'nodes.name: a node cannot be called "name"',
    ],
  ];
  for (const [what, changes, problem] of cases) {
    it(`refuses ${what}`, async () => {
      const problems = await problemsOf(changes);
      expect(
        problems.some((line) => line.startsWith(problem)),
        problems.join('\n'),
      ).to.equal(true);
    });
  }

  it('takes names such as constructor for what they are', async () => {
    const problems = await problemsOf({ 'mirrors[0].elements.south': absent, 'mirrors[0].elements.constructor': { device: 'x' } });
    expect(problems).to.have.members(['mirrors[0].elements.constructor: no such node', 'mirrors[0].elements.south: is required']);
  });

  it('tells how each node exports a mirror: in the clear, over TLS where a client wishes, or over TLS alone', async () => {
    const [keyFile, certificateFile, caFile] = ['tls/key.pem', 'tls/cert.pem', 'tls/ca.pem'];
    const config = await parsed({
      'mirrors[0].export.north': { uri: 'nbds://192.0.2.1/m', tls: { keyFile, certificateFile, caFile } },
      'mirrors[0].export.south': { uri: 'nbd+unix:///m?socket=s/m.nbd', tls: { pskFile: 'keys.psk' } },
    });
    expect(config.mirrors[0]?.export).to.deep.equal({
      north: {
        ...{ uri: 'nbds://192.0.2.1/m', name: 'm', address: { host: '192.0.2.1', port: 10_809 } },
        tls: {
          mode: 'required',
          files: { keyFile: `${folder}/tls/key.pem`, certificateFile: `${folder}/tls/cert.pem`, caFile: `${folder}/tls/ca.pem` },
        },
      },
      south: {
        ...{ uri: 'nbd+unix:///m?socket=s/m.nbd', name: 'm', address: { path: `${folder}/s/m.nbd` } },
        tls: { mode: 'optional', files: { pskFile: `${folder}/keys.psk` } },
      },
    });
    expect((await parsed({ 'mirrors[0].export': { north: 'nbd://127.0.0.1:1/m' } })).mirrors[0]?.export['north']?.tls).to.equal(null);
  });

  it('lets an export be where the other node has something, and tells of one that the other node lacks', async () => {
    const config = await parsed({ 'mirrors[0].export': { north: 'nbd://127.0.0.1:7812/m' } });
    expect(exportWarnings(config)).to.deep.equal([
      'mirror files has no export on south: while that node serves, nobody reaches the disk by NBD',
    ]);
    expect(exportWarnings(await parsed())).to.deep.equal([]);
    expect(exportWarnings(await parsed({ 'mirrors[0].export': absent }))).to.deep.equal([]);
  });

  it('trust: refuses an export beyond loopback that lets in who does not encrypt, or does not prove who it is', async () => {
    const certificates = { keyFile: 'k', certificateFile: 'c' };
    const problems = async (written: unknown): Promise<string[]> => problemsOf({ 'mirrors[0].export': { north: written } });
    for (const written of ['nbd://192.0.2.1/m', 'nbd://disk.example/m', { uri: 'nbd://0.0.0.0/m', tls: { pskFile: 'p' } }])
      expect(await problems(written)).to.deep.equal([
        'mirrors[0].export.north: beyond loopback needs TLS of everybody (nbds) (rule trust)',
      ]);
    expect(await problems({ uri: 'nbds://192.0.2.1/m', tls: certificates })).to.have.length(1);
    expect(await problems({ uri: 'nbds://192.0.2.1/m', tls: { ...certificates, caFile: 'ca' } })).to.deep.equal([]);
    expect(await problems({ uri: 'nbds://192.0.2.1/m', tls: { pskFile: 'p' } })).to.deep.equal([]);
    expect(await problems({ uri: 'nbds://127.0.0.1/m', tls: certificates })).to.deep.equal([]);
  });

  it('trust: refuses addresses beyond loopback without a key file, in either half of an address', async () => {
    for (const address of [
      'tcp://192.0.2.1:1',
      'tcp://[2001:db8::1]:1',
      'tcp://backup.example:1',
      { listen: 'tcp://127.0.0.1:1', advertise: 'tcp://192.0.2.1:1' },
    ]) {
      const changes = { 'monitor.links[0].north': address };
      expect(await problemsOf(changes)).to.deep.equal([]);
      expect(await problemsOf({ ...changes, auth: absent })).to.deep.equal([
        'monitor.links[0].north: beyond loopback needs auth.keyFile (rule trust)',
      ]);
    }
    for (const address of ['tcp://127.8.9.1:1', 'tcp://[::1]:1', 'tcp://localhost:1']) {
      expect(await problemsOf({ 'monitor.links[0].north': address, auth: absent })).to.deep.equal([]);
    }
  });

  it('never fails in any other way, whatever the file holds', () => {
    for (const json of [null, 1, 'x', [], {}, { nodes: [] }, { mirrors: [null], monitor: { links: [1] }, failover: 3 }]) {
      expect(() => parseConfig(json, { folder })).to.throw(HotMirrorError);
    }
  });

  it('says that a file is missing, no JSON, or too long', async () => {
    await withFolder(async (temporary) => {
      const file = path.join(temporary, 'pair.json');
      const refusal = async (): Promise<HotMirrorError> =>
        loadConfig(file).then(
          () => expect.fail('accepted'),
          (error: unknown) => error as HotMirrorError,
        );
      expect((await refusal()).message).to.contain('cannot be read');
      await writeFile(file, '{\n"pair": "office",\n}\n');
      expect((await refusal()).message).to.match(/^.*pair\.json is not JSON: [^\n]+$/u);
      await writeFile(file, ' '.repeat(2 ** 20 + 1));
      expect(await refusal()).to.include({ code: 'HM_CONFIG' });
    });
  });

  it('describes the file as a JSON Schema', () => {
    const schema = pairJsonSchema() as { readonly required: readonly string[]; readonly properties: object };
    expect(schema.required).to.have.members(['pair', 'nodes', 'mirrors', 'monitor']);
    expect(schema.properties).to.have.property('failover');
  });
});
