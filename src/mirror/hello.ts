import type { ElementLineage } from './element-lineage.ts';
import { dataLinkFeatures } from './features.ts';
import type { Hello } from './handshake.ts';
import type { KnownElements } from './known-elements.ts';
import type { Leftovers } from './leftovers.ts';
import type { ReplicationOptions } from './replication-options.ts';
import { wireVersion } from './wire.ts';

/**
 * What this side says first on a connection. Rejects where what it would say could not be found again after a crash; an element that seemed `uptodate` is in doubt then.
 */
export async function makeHello(
  { name, protocol, store, serving }: ReplicationOptions,
  lineage: ElementLineage,
  leftovers: Leftovers,
  known: KnownElements,
): Promise<Hello> {
  // Nothing of an earlier connection may change what this side is about to say.
  await leftovers.gone();
  const { through } = serving.diskless;
  try {
    // A failed element has nothing to say that is not known, and its disks may hang.
    if (through === null) await lineage.measure();
  } catch (error) {
    if (serving.state === 'no') known.doubt();
    throw error;
  }
  const view = lineage.view(known.element, serving.state !== 'no', through);
  const hello = { wire: wireVersion, features: dataLinkFeatures, mirror: name, protocol: protocol.current };
  return { ...hello, extentBytes: store.metadata.extentBytes, view };
}
