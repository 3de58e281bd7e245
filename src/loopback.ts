import { BlockList, isIP, isIPv4 } from 'node:net';

const mappedIPv4Prefix = '::ffff:';
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether an IP address reaches this machine only. Names do not count, except `localhost`. */
export function isLoopback(address: string): boolean {
  const plain = address.toLowerCase().startsWith(mappedIPv4Prefix) ? address.slice(mappedIPv4Prefix.length) : address;
  if (plain === 'localhost') return true;
  return isIP(plain) !== 0 && loopback.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
}
