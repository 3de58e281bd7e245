import type { MirrorConfig } from './config.ts';
import type { MirrorStatus, VerifyStatus } from './control-protocol.ts';
import type { MirrorProxy } from './mirror-proxy.ts';

/** The metadata tells that it failed, and keeps the reason to itself. */
const failedBefore = 'the element failed before this node was started; `hotmirror events` tells when and why';

/** One mirror in the status of its node. What there is nothing to tell of is absent. */
export function mirrorStatus(
  mirror: Pick<MirrorProxy, 'state' | 'facts'>,
  configured: Pick<MirrorConfig, 'protocol'>,
  verify: VerifyStatus | null,
): MirrorStatus {
  const { name, sizeBytes, role, connection, element, peerElement, dirtyBytes, resync, ...rest } = mirror.state();
  const { resyncPaused = null, findingBytes = 0, protocol } = rest;
  const { exportUri, exportProblem, elementProblem, elementServer } = mirror.facts;
  // That it could not be opened for a service that is over says nothing of the next one.
  const exportFailed = exportProblem !== null && (!exportProblem.whileServing || rest.serving !== 'no');
  const away = elementServer !== null && elementServer.state !== 'returned';
  return {
    name,
    sizeBytes,
    role,
    connection,
    element,
    peerElement,
    dirtyBytes,
    resync,
    ...(resyncPaused === null ? {} : { resyncPaused }),
    ...(findingBytes === 0 ? {} : { findingBytes }),
    ...(protocol === undefined || role === 'none' || protocol === configured.protocol ? {} : { protocol }),
    ...(verify === null ? {} : { verify }),
    export: exportUri,
    ...(exportFailed ? { exportFailed: exportProblem.text } : {}),
    ...(element === 'failed' ? { elementFailed: elementProblem ?? failedBefore } : {}),
    ...(away ? { elementServer: { state: elementServer.state, because: elementServer.because ?? '' } } : {}),
  };
}
