import { existsSync } from 'node:fs';
import path from 'node:path';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import type { AllocationPiece, BlockDevice, Done } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { NetDiskServer } from '../../src/net-disk/net-disk-server.ts';
import { withFolder } from '../node/temporary-folder.ts';
import { skipBecause } from '../support/skip.ts';
import { patienceMs } from './support/command-pair.ts';
import { runProgram } from './support/program.ts';

/** Debian's own, for which `python3-libnbd` installs; `nbdsh` takes the first that it finds. */
const python = '/usr/bin/python3';
const sizeBytes = 64 * 2 ** 20;

/** A disk that notes what it is asked, and fails where the test says so. */
class NotedDevice extends MemoryDevice {
  override readonly capabilities: BlockDevice['capabilities'];
  readonly asked: string[] = [];
  failure: HotMirrorError | null = null;

  constructor({ trim = true, punchHole = false }: { readonly trim?: boolean; readonly punchHole?: boolean } = {}) {
    super({ sizeBytes });
    this.capabilities = { synchronous: true, trim, punchHole, exclusive: true };
  }

  override read(...[offsetBytes, into, done]: Parameters<BlockDevice['read']>): void {
    super.read(offsetBytes, into, this.#noted('read', done));
  }

  override write(...[offsetBytes, from, options, done]: Parameters<BlockDevice['write']>): void {
    super.write(offsetBytes, from, options, this.#noted(`write${options.fua === true ? ' fua' : ''}`, done));
  }

  override flush(done: Done): void {
    super.flush(this.#noted('flush', done));
  }

  override trim(...[, , done]: Parameters<BlockDevice['trim']>): void {
    this.#noted('trim', done)(null);
  }

  override writeZeroes(...[offsetBytes, lengthBytes, options, done]: Parameters<BlockDevice['writeZeroes']>): void {
    super.writeZeroes(offsetBytes, lengthBytes, options, this.#noted(`zeroes${options.noHole === true ? ' no hole' : ''}`, done));
  }

  #noted(what: string, done: Done): Done {
    this.asked.push(what);
    return (error) => done(this.failure ?? error);
  }
}

/** The first and the third MiB are data. */
function threeMebibytes(offsetBytes: number, lengthBytes: number, mostPieces: number): AllocationPiece[] {
  const pieces: AllocationPiece[] = [];
  let at = offsetBytes;
  for (const [until, hole] of [
    [1, false],
    [2, true],
    [3, false],
    [64, true],
  ] as const) {
    const bytes = Math.min(until * 2 ** 20, offsetBytes + lengthBytes) - at;
    if (bytes <= 0 || pieces.length === mostPieces) continue;
    pieces.push({ lengthBytes: bytes, hole });
    at += bytes;
  }
  return pieces;
}

/** What each line of a script came to: `ok`, or the error that the server answered. */
type Outcomes = Readonly<Record<string, unknown>>;

interface Scripted {
  readonly server: NetDiskServer;
  /** Its own. */
  readonly folder: string;
  /** Runs expressions of `nbdsh`, in order, over one connection that checks nothing by itself. */
  readonly run: (expressions: readonly string[], options?: { readonly name?: string; readonly before?: string }) => Promise<Outcomes>;
}

const prelude = `
import json, nbd
flags = nbd.CMD_FLAG_FUA, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_DF, nbd.CMD_FLAG_REQ_ONE, nbd.CMD_FLAG_FAST_ZERO
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO = flags
KIB, MIB, END = 1024, 1 << 20, ${String(sizeBytes)}
def extents(count, offset, flags=0):
    seen = []
    h.block_status(count, offset, lambda context, at, entries, error: seen.append([context, at, list(entries)]), flags)
    return seen
def outcome(expression):
    try:
        value = eval(expression)
        return 'ok' if value is None else len(value) if isinstance(value, (bytes, bytearray)) else value
    except nbd.Error as error:
        return error.errno
h = nbd.NBD()
h.set_strict_mode(0)
`;

async function scripted(exports: Readonly<Record<string, NotedDevice>>, use: (scripted: Scripted) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const socket = path.join(folder, 'd.nbd');
    const server = await NetDiskServer.listen({ listen: { path: socket }, clock: systemClock, limits: { closeDeadlineMs: patienceMs } });
    for (const [name, device] of Object.entries(exports)) server.add({ name, device, readOnly: name === 'readonly' });
    const run: Scripted['run'] = async (expressions, { name = 'd', before = '' } = {}) => {
      const connect = `h.connect_uri(${JSON.stringify(`nbd+unix:///${name}?socket=${socket}`)})`;
      const last = `print(json.dumps({one: outcome(one) for one in ${JSON.stringify(expressions)}}))`;
      const { exitCode, stdout, stderr } = await runProgram(python, ['-c', [prelude, before, connect, last].join('\n')]);
      if (exitCode !== 0) throw new Error(stderr);
      return JSON.parse(stdout) as Outcomes;
    };
    try {
      await use({ server, run, folder });
    } finally {
      await server.close();
    }
  });
}

/** What a script comes to must be what stands beside each of its lines. */
async function expectOutcomes(run: Scripted['run'], expected: Outcomes, options?: Parameters<Scripted['run']>[1]): Promise<void> {
  expect(await run(Object.keys(expected), options)).to.deep.equal(expected);
}

describe('What a net disk makes of each flag and error of the protocol, by libnbd (NBD)', function () {
  this.timeout(patienceMs);

  before(async function () {
    const { exitCode } = await runProgram(python, ['-c', 'import nbd']).catch(() => ({ exitCode: 1 }));
    if (exitCode !== 0) skipBecause(this, 'python3-libnbd is not installed');
  });

  it('makes durable what FUA asks for, before it answers: of a write, of zeroes, of a trim', async () => {
    const device = new NotedDevice();
    await scripted({ d: device }, async ({ run }) => {
      await expectOutcomes(run, {
        'h.pwrite(bytes(4096), 0, FUA)': 'ok',
        'h.pwrite(bytes(4096), 4096)': 'ok',
        'h.zero(4096, 0, FUA)': 'ok',
        'h.zero(4096, 4096, NO_HOLE)': 'ok',
        'h.zero(4096, 8192, FUA | NO_HOLE)': 'ok',
        'h.trim(4096, 0, FUA)': 'ok',
        'h.trim(4096, 4096)': 'ok',
        'h.flush()': 'ok',
      });
    });
    const [zeroes, firm] = [
      ['zeroes', 'flush'],
      ['zeroes no hole', 'zeroes no hole', 'flush'],
    ];
    expect(device.asked).to.deep.equal(['write fua', 'write', ...zeroes, ...firm, 'trim', 'flush', 'trim', 'flush']);
  });

  it('tells before it has written that zeroes would not be fast', async () => {
    const [slow, fast] = [new NotedDevice(), new NotedDevice({ punchHole: true })];
    await scripted({ d: slow, fast }, async ({ run }) => {
      await expectOutcomes(run, {
        'h.can_fast_zero()': true,
        'h.zero(4096, 0, FAST_ZERO)': 'ENOTSUP',
        'h.zero(4096, 0, FAST_ZERO | NO_HOLE)': 'ENOTSUP',
        'h.zero(4096, END, FAST_ZERO)': 'ENOSPC',
        'h.zero(4096, 0)': 'ok',
      });
      await expectOutcomes(
        run,
        { 'h.zero(4096, 0, FAST_ZERO)': 'ok', 'h.zero(4096, 0, FAST_ZERO | NO_HOLE)': 'ENOTSUP' },
        { name: 'fast' },
      );
    });
    expect([slow.asked, fast.asked]).to.deep.equal([['zeroes'], ['zeroes']]);
  });

  it('reads in one piece, asked for it (DF) or not, and refuses what it does not read in one', () =>
    scripted({ d: new NotedDevice() }, async ({ run }) => {
      await expectOutcomes(run, {
        'h.can_df()': true,
        'h.pread(64 * KIB, 0, DF)': 65_536,
        'h.pread(32 * MIB, 0, DF)': 2 ** 25,
        // Longer than it told in haggling, fragmented or not.
        'h.pread(32 * MIB + 512, 0, DF)': 'EINVAL',
        'h.pread(32 * MIB + 512, 0)': 'EINVAL',
      });
      const simple = { before: 'h.set_request_structured_replies(False)' };
      await expectOutcomes(run, { 'h.can_df()': false, 'h.pread(512, 0, DF)': 'EINVAL', 'h.pread(512, 0)': 512 }, simple);
    }));

  it('tells what is allocated in one piece, as far as it was asked about, where that was agreed on', () =>
    scripted({ d: new NotedDevice() }, async ({ run }) => {
      const allocation = { before: 'h.add_meta_context("base:allocation")' };
      await expectOutcomes(
        run,
        {
          'h.can_meta_context("base:allocation")': true,
          'extents(END, 0)': [['base:allocation', 0, [sizeBytes, 0]]],
          'extents(MIB, 512, REQ_ONE)': [['base:allocation', 512, [2 ** 20, 0]]],
          'extents(1024, END - 512)': 'EINVAL',
          'extents(512, 0, DF)': 'EINVAL',
          'extents(0, 0)': 'EINVAL',
        },
        allocation,
      );
      const other = { before: 'h.add_meta_context("qemu:dirty-bitmap:b")' };
      await expectOutcomes(run, { 'h.can_meta_context("qemu:dirty-bitmap:b")': false, 'extents(512, 0)': 'EINVAL' }, other);
      const simple = { before: `${allocation.before}\nh.set_request_structured_replies(False)` };
      await expectOutcomes(run, { 'h.can_meta_context("base:allocation")': false, 'extents(512, 0)': 'EINVAL' }, simple);
    }));

  it('tells holes from data, as far as it was asked about, and one extent where one is asked for', () => {
    const device = Object.assign(new NotedDevice(), { allocation: threeMebibytes });
    return scripted({ d: device }, ({ run }) =>
      expectOutcomes(
        run,
        {
          'extents(END, 0)': [['base:allocation', 0, [2 ** 20, 0, 2 ** 20, 3, 2 ** 20, 0, 61 * 2 ** 20, 3]]],
          'extents(2 * MIB, MIB)': [['base:allocation', 2 ** 20, [2 ** 20, 3, 2 ** 20, 0]]],
          'extents(2 * MIB, MIB + 512, REQ_ONE)': [['base:allocation', 2 ** 20 + 512, [2 ** 20 - 512, 3]]],
          'extents(512, 512, REQ_ONE)': [['base:allocation', 512, [512, 0]]],
        },
        { before: 'h.add_meta_context("base:allocation")' },
      ),
    );
  });

  it('lists exports and contexts, tells about one, and lets a client go, before any is used', () =>
    scripted({ d: new NotedDevice(), readonly: new NotedDevice() }, async ({ run }) => {
      const haggling = [
        'h.set_opt_mode(True)',
        'found = []',
        'def named(kind):',
        '    found.clear()',
        '    (h.opt_list if kind == "exports" else h.opt_list_meta_context)(lambda name, *rest: found.append(name))',
        '    return list(found)',
      ].join('\n');
      await expectOutcomes(
        run,
        {
          'named("exports")': ['d', 'readonly'],
          'named("contexts")': ['base:allocation'],
          'h.opt_info()': 'ok',
          'h.get_size()': sizeBytes,
          'h.get_block_size(nbd.SIZE_MINIMUM)': 512,
          'h.get_block_size(nbd.SIZE_PREFERRED)': 4096,
          'h.get_block_size(nbd.SIZE_MAXIMUM)': 2 ** 25,
          'h.set_export_name("none")': 'ok',
          'h.opt_info()  ': 'ENOENT',
          'h.opt_abort()': 'ok',
        },
        { before: haggling },
      );
    }));

  for (const [replies, before] of [
    ['structured', ''],
    ['simple', 'h.set_request_structured_replies(False)'],
  ] as const)
    it(`answers what it cannot do with the error that the protocol asks for, and goes on (${replies} replies)`, async () => {
      const device = new NotedDevice();
      await scripted({ d: device }, async ({ run }) => {
        await expectOutcomes(
          run,
          {
            'h.pread(512, END)': 'EINVAL',
            'h.pread(1024, END - 512)': 'EINVAL',
            'h.pread(512, 1 << 62)': 'EINVAL',
            'h.pwrite(bytes(512), END)': 'ENOSPC',
            'h.pwrite(bytes(1024), END - 512)': 'ENOSPC',
            'h.pwrite(bytes(512), 1 << 62)': 'ENOSPC',
            'h.zero(1024, END - 512)': 'ENOSPC',
            'h.trim(1024, END - 512)': 'EINVAL',
            'h.cache(1024, END - 512)': 'EINVAL',
            'h.pread(512, 1)': 'EINVAL',
            'h.pread(511, 0)': 'EINVAL',
            'h.pwrite(bytes(511), 0)': 'EINVAL',
            'h.zero(512, 1)': 'EINVAL',
            'h.trim(1, 0)': 'EINVAL',
            'h.pread(0, 0)': 'EINVAL',
            'h.pwrite(b"", 0)': 'EINVAL',
            'h.zero(0, 0)': 'EINVAL',
            'h.trim(0, 0)': 'EINVAL',
            'h.pwrite(bytes(32 * MIB + 512), 0)': 'EINVAL',
            // Flags of another command, and one that is not known.
            'h.pread(512, 0, REQ_ONE)': 'EINVAL',
            'h.pwrite(bytes(512), 0, NO_HOLE)': 'EINVAL',
            'h.trim(512, 0, FAST_ZERO)': 'EINVAL',
            'h.flush(NO_HOLE)': 'EINVAL',
            'h.zero(512, 0, 1 << 15)': 'EINVAL',
            // Clients are known to send FUA with anything.
            'h.pread(512, 0, FUA)': 512,
            'h.flush(FUA)': 'ok',
            'h.cache(512, 0, FUA)': 'ok',
            'h.pwrite(bytes(512), END - 512)': 'ok',
          },
          { before },
        );
      });
      expect(device.asked).to.deep.equal(['read', 'flush', 'write']);
    });

  it('changes nothing of a read-only export, and trims none that cannot be trimmed', async () => {
    const [readonly, firm] = [new NotedDevice(), new NotedDevice({ trim: false })];
    await scripted({ readonly, firm }, async ({ run }) => {
      await expectOutcomes(
        run,
        {
          'h.is_read_only()': true,
          'h.can_zero()': false,
          'h.can_trim()': false,
          'h.pwrite(bytes(512), 0)': 'EPERM',
          'h.zero(512, 0)': 'EPERM',
          'h.trim(512, 0)': 'EPERM',
          'h.pread(512, 0)': 512,
          'h.flush()': 'ok',
        },
        { name: 'readonly' },
      );
      await expectOutcomes(run, { 'h.can_trim()': false, 'h.trim(512, 0)': 'EINVAL', 'h.flush()': 'ok' }, { name: 'firm' });
    });
    expect([readonly.asked, firm.asked]).to.deep.equal([['read', 'flush'], ['flush']]);
  });

  it('says how the disk failed, with no more than the protocol has words for', async () => {
    const device = new NotedDevice();
    await scripted({ d: device }, async ({ run }) => {
      for (const [code, write] of [
        ['HM_NO_SPACE', 'ENOSPC'],
        ['HM_IO_WRITE', 'EIO'],
        ['HM_NOT_SERVING', 'ESHUTDOWN'],
        ['HM_NOT_SUPPORTED', 'EINVAL'],
      ] as const) {
        device.failure = new HotMirrorError(code, 'as the test says');
        await expectOutcomes(run, {
          'h.pwrite(bytes(512), 0)': write,
          'h.pwrite(bytes(512), 0, FUA)': write,
          'h.zero(512, 0, FUA)': write,
          'h.pread(512, 0)': write,
          'h.flush()': write,
        });
      }
    });
  });

  it('refuses with ESHUTDOWN what comes once it serves no more, and answers what came before', async () => {
    const device = new NotedDevice();
    await scripted({ d: device }, async ({ server, run, folder }) => {
      const refused = path.join(folder, 'refused');
      let left = Promise.resolve();
      device.flush = (done) => {
        left = server.close();
        // Once a request has come too late.
        const looking = setInterval(() => {
          if (!existsSync(refused)) return;
          clearInterval(looking);
          done(null);
        }, 10);
      };
      const late = [
        'def late():',
        '    flushed = h.aio_flush()',
        '    while (said := outcome("h.pread(512, 0)")) == 512: pass',
        `    open(${JSON.stringify(refused)}, 'w').close()`,
        '    while not h.aio_command_completed(flushed): h.poll(-1)',
        '    return said',
      ].join('\n');
      expect(await run(['late()'], { before: late })).to.deep.equal({ 'late()': 'ESHUTDOWN' });
      await left;
    });
  });
});
