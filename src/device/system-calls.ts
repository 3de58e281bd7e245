import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';

import createDebug from 'debug';

/** System calls of Linux that Node has no way to. What fails has the `E…` name as its `code`, as errors of Node have. */
export interface SystemCalls {
  /** `fallocate(2)`: the range reads as zeroes and takes no space from now on; the file keeps its size. Throws. */
  punchHole(fd: number, offsetBytes: number, lengthBytes: number): void;
  /** The same in libuv's pool. Rejects. */
  punchHoleInPool(fd: number, offsetBytes: number, lengthBytes: number): Promise<void>;
  /** `lseek(2)`: where from here the next data begins. Throws, with `ENXIO` where none follows. */
  seekData(fd: number, offsetBytes: number): number;
  /** `lseek(2)`: where from here the next hole begins; the end of the file is one. Throws. */
  seekHole(fd: number, offsetBytes: number): number;
}

/** A function of the C library. */
interface NativeCall {
  (...values: readonly number[]): number | bigint;
  readonly async: (...values: readonly [...number[], (error: unknown, result: number | bigint) => void]) => void;
}

/** What is used of `koffi`. Its own types are not: who does without it could not compile what imports them. */
interface Koffi {
  load(path: null): { func(prototype: string): NativeCall };
  errno(): number;
}

const punchHoleKeepSize = 0x02 | 0x01;
const whence = { data: 3, hole: 4 } as const;

const debug = createDebug('hotmirror:device');

/** Undefined: it was not looked for in this thread. */
let found: SystemCalls | null | undefined;

/** The calls, where the optional package `koffi` is installed and this is Linux; else null. */
export function systemCalls(): SystemCalls | null {
  if (found === undefined) found = load();
  return found;
}

function load(): SystemCalls | null {
  if (process.platform !== 'linux') return null;
  try {
    return callsBy(createRequire(import.meta.url)('koffi') as Koffi);
  } catch (error) {
    debug('no holes are punched or found: %s', (error as Error).message);
    return null;
  }
}

function callsBy(koffi: Koffi): SystemCalls {
  const library = koffi.load(null);
  // Where the names with 64 are missing, all offsets have 64 bits (musl).
  const find = (result: string, name: string, values: string): NativeCall => {
    try {
      return library.func(`${result} ${name}64(${values})`);
    } catch {
      return library.func(`${result} ${name}(${values})`);
    }
  };
  const fallocate = find('int', 'fallocate', 'int fd, int mode, int64_t offset, int64_t length');
  const lseek = find('int64_t', 'lseek', 'int fd, int64_t offset, int whence');
  const failure = (call: string): Error => systemError(call, koffi.errno());
  const seek = (fd: number, offsetBytes: number, to: number): number => {
    const at = Number(lseek(fd, offsetBytes, to));
    if (at < 0) throw failure('lseek');
    return at;
  };
  return {
    punchHole: (fd, offsetBytes, lengthBytes) => {
      if (fallocate(fd, punchHoleKeepSize, offsetBytes, lengthBytes) !== 0) throw failure('fallocate');
    },
    punchHoleInPool: (fd, offsetBytes, lengthBytes) =>
      new Promise((resolve, reject) => {
        fallocate.async(fd, punchHoleKeepSize, offsetBytes, lengthBytes, (error, result) => {
          if (result === 0) resolve();
          else reject(error instanceof Error ? error : failure('fallocate'));
        });
      }),
    seekData: (fd, offsetBytes) => seek(fd, offsetBytes, whence.data),
    seekHole: (fd, offsetBytes) => seek(fd, offsetBytes, whence.hole),
  };
}

/** As Node makes them. */
function systemError(call: string, errno: number): Error {
  const code = errno > 0 ? getSystemErrorName(-errno) : 'EIO';
  return Object.assign(new Error(`${code}, ${call}`), { code, errno: -errno, syscall: call });
}
