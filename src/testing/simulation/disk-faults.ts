/** A disk of a node: the element of a mirror, its metadata, or the pair record. */
export type DiskName = 'element' | 'metadata' | 'record';

/** What a disk may do wrong. Each is what real disks do and what hotmirror must survive on one node at a time. */
export type DiskFault =
  /** Blocks that cannot be read (`HM_IO_READ`) until they are written again. */
  | { readonly kind: 'unreadable'; readonly offsetBytes: number; readonly lengthBytes: number }
  /** The next `count` writes fail with `HM_IO_WRITE`, each with any part of its blocks written. */
  | { readonly kind: 'write-error'; readonly count: number }
  /** The next `count` flushes fail with `HM_IO_FLUSH`; what they were to cover is in doubt for good. */
  | { readonly kind: 'flush-error'; readonly count: number }
  /** Every write fails with `HM_NO_SPACE`, with nothing written, until the disk is mended. */
  | { readonly kind: 'full' }
  /** Nothing completes for this long; then everything does. */
  | { readonly kind: 'stall'; readonly forMs: number }
  /** Each request takes up to this much longer, until the disk is mended. */
  | { readonly kind: 'slow'; readonly addMs: number };
