import { compareEpochs, formatEpoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { Commands } from './commands.ts';
import { answerOffer } from './handover-run.ts';
import { signOfLife } from './hearing.ts';
import { laterControl } from './look.ts';
import type { Request } from './messages.ts';
import { parseRequest, toJson } from './messages.ts';
import type { PairNode } from './pair-node.ts';
import type { Json, OutdateOrder } from './ports.ts';
import { refusal } from './refusal.ts';

type OutdateRequest = Extract<Request, { kind: 'outdate' }>;

/** Answers a request of the peer; rejects with the refusal that the peer is to see. Asked again, it answers the same. */
export async function answerRequest(node: PairNode, commands: Commands, body: Json): Promise<Json> {
  if (node.closed) throw new HotMirrorError('HM_CLOSED', 'the orchestrator was closed');
  const request = parseRequest(body);
  signOfLife(node);
  switch (request.kind) {
    case 'outdate':
      return answerOutdate(node, request);
    case 'handover':
      return answerOffer(node, request);
    case 'control':
      await node.keeper.change('control', (record) => {
        const control = laterControl(record.control, request.control);
        return control === record.control ? record : { ...record, control };
      });
      return toJson({ control: node.record.control });
    case 'command':
      return toJson(commands.answer(request));
  }
}

/**
 * Rule `outdate`: serialised with takeover intents on the pair record. With an intent there is a typed refusal; otherwise the element durably is
 * old before the answer goes out, and a takeover that begins later sees it.
 */
async function answerOutdate(node: PairNode, request: OutdateRequest): Promise<Json> {
  const { mirror: name, epoch, currentId, connectionId, peerConnectionId, nonce } = request;
  const order: OutdateOrder = { epoch, currentId, connectionId, peerConnectionId, nonce };
  const mirror = node.mirrors.find((one) => one.name === name);
  if (!mirror) throw refusal('outdate', `there is no mirror ${name}`);
  if (compareEpochs(order.epoch, node.record.epoch) === 'higher') {
    await node.adoptEpoch(order.epoch, null, 'lineage.epoch');
    node.wake();
  }
  return node.keeper.exclusively(async (record) => {
    if (record.intent) throw refusal('outdate', `this node is taking over with ${formatEpoch(record.intent)}`);
    if (compareEpochs(order.epoch, record.epoch) !== 'equal') {
      throw new HotMirrorError(
        'HM_STALE_EPOCH',
        `the order is of epoch ${formatEpoch(order.epoch)}; this node knows ${formatEpoch(record.epoch)}`,
      );
    }
    if (node.serving) throw refusal('outdate', 'this node serves');
    await node.order(mirror, 'outdate', () => mirror.outdate(order));
    return toJson({ outdated: true, nonce: order.nonce });
  });
}
