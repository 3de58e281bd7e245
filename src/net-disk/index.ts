/** `hotmirror/net-disk`: hands devices to the operating system, and to whoever speaks NBD. */
export type { NetDiskDeviceLimits } from './client-limits.ts';
export type { NetDiskLimits } from './limits.ts';
export { parseNetDiskUri } from './net-disk-address.ts';
export type { NetDiskAddress, NetDiskLocation } from './net-disk-address.ts';
export { NetDiskDevice } from './net-disk-device.ts';
export type { NetDiskDeviceOptions, NetDiskServerNews } from './net-disk-device.ts';
export type { NetDiskExport } from './net-disk-export.ts';
export type { NetDiskCredentials, NetDiskTls } from './net-disk-tls.ts';
export { NetDiskServer } from './net-disk-server.ts';
export type { NetDiskServerOptions } from './net-disk-server.ts';
