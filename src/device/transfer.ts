/** One system call moves at most about 2 GiB on Linux, and Node takes lengths of 31 bits. */
const maxTransferBytes = 2 ** 30;

/** Moves up to `lengthBytes` from position `atBytes` of the request; returns how many were moved, 0 when no more will be. */
export type TransferStep<Moved> = (atBytes: number, lengthBytes: number) => Moved;

/** Repeats a read or write, which may move less than asked, until all is moved or none is. Returns the bytes moved. */
export function transfer(lengthBytes: number, step: TransferStep<number>): number {
  let at = 0;
  while (at < lengthBytes) {
    const moved = step(at, Math.min(maxTransferBytes, lengthBytes - at));
    if (moved === 0) break;
    at += moved;
  }
  return at;
}

/** {@link transfer} for steps that take time. */
export async function transferAsync(lengthBytes: number, step: TransferStep<Promise<number>>): Promise<number> {
  let at = 0;
  while (at < lengthBytes) {
    const moved = await step(at, Math.min(maxTransferBytes, lengthBytes - at));
    if (moved === 0) break;
    at += moved;
  }
  return at;
}
