import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { dataLinkFeatures } from '../../src/mirror/features.ts';
import { historyLength } from '../../src/mirror/metadata.ts';
import { defaultMirrorLimits } from '../../src/mirror/options.ts';
import { maxHeldBytes, maxHeldRequests } from '../../src/mirror/target.ts';
import * as wire from '../../src/mirror/wire.ts';
import { Handshake, maxHandshakeMessageBytes, sharedKeyBytes } from '../../src/transport/authentication.ts';
import type { HandshakeIdentity } from '../../src/transport/authentication.ts';
import { FrameEncoder, frameHeaderBytes } from '../../src/transport/framing.ts';
import { defaultTransportLimits } from '../../src/transport/limits.ts';
import { preamble } from '../../src/transport/preamble.ts';
import { opener, sealingKeyBytes } from '../../src/transport/sealing.ts';
import type { Random } from '../../src/clock/random.ts';
import { repositoryRoot } from '../support/repository.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import { tapFrames } from './support/frame-tap.ts';

const grouped = (value: number): string => value.toLocaleString('en');

/** The rows of the tables whose first column is called `heading`, cell by cell. */
function tableRows(text: string, heading: string): string[][] {
  const tables = text
    .trim()
    .split(/\n(?:[ \t]*\n)+/u)
    .filter((paragraph) => paragraph.startsWith(`| ${heading} |`));
  return tables.flatMap((table) =>
    table
      .split('\n')
      .slice(2)
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ),
  );
}

const unquoted = (cell = ''): string => cell.replaceAll('`', '');
const hex = (bytes: Uint8Array | readonly Uint8Array[]): string =>
  Buffer.concat(Array.isArray(bytes) ? (bytes as Uint8Array[]) : [bytes as Uint8Array]).toString('hex');

/** Names of the fields of a message's JSON, `view.` before those of the view. */
function fieldsOf(value: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(value).flatMap(([name, field]) =>
    name === 'view' ? fieldsOf(field as Record<string, unknown>).map((inner) => `view.${inner}`) : [name],
  );
}

describe('docs/wire.md', () => {
  let text: string;
  const section = (title: string): string => text.split(`\n### \`${title}\`\n`)[1]?.split(/\n##/u)[0] ?? '';

  before(async () => {
    text = await readFile(path.join(repositoryRoot, 'docs', 'wire.md'), 'utf8');
  });

  it('has a row for every message, with its number, and none for any other', () => {
    const documented = new Map(tableRows(text, 'number').map(([number, name]) => [unquoted(name), Number(number)]));
    for (const [name, number] of Object.entries(wire.messageTypes)) {
      expect(
        documented.get(name),
        `docs/wire.md, section "Messages", has no row that begins with "| ${String(number)} | \`${name}\` |": say who sends the message, when, and with which a, b and body`,
      ).to.equal(number);
    }
    const unknown = [...documented.keys()].filter((name) => !(name in wire.messageTypes));
    expect(unknown, 'docs/wire.md, section "Messages", has rows for messages that src/mirror/wire.ts does not know').to.deep.equal([]);
  });

  it('has a row for every feature and none for any other', () => {
    const documented = tableRows(text, 'feature').map(([name]) => unquoted(name));
    expect(documented.sort(), 'docs/wire.md lists other features than src/mirror/features.ts').to.deep.equal([...dataLinkFeatures].sort());
  });

  it('gives every figure as the code has it', () => {
    const limits = (prefix: string, values: object): [string, number][] =>
      Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value as number]);
    const figures = new Map<string, number>([
      ...Object.entries(wire as Readonly<Record<string, unknown>>).filter(
        (entry): entry is [string, number] => typeof entry[1] === 'number',
      ),
      ['historyLength', historyLength],
      ['transport.frameHeaderBytes', frameHeaderBytes],
      ['authentication.maxHandshakeMessageBytes', maxHandshakeMessageBytes],
      ['authentication.sharedKeyBytes', sharedKeyBytes],
      ['sealing.overheadBytes', opener(new Uint8Array(sealingKeyBytes)).overheadBytes],
      ...limits('transport', defaultTransportLimits),
      ...limits('limits', defaultMirrorLimits),
    ]);
    const documented = tableRows(text, 'figure').map(([name, value]) => [unquoted(name), value] as const);
    for (const [name, value] of documented) {
      expect(figures.has(name), `docs/wire.md gives a figure ${name}, which this test finds nowhere in the code`).to.equal(true);
      expect(value, `docs/wire.md says that ${name} is ${String(value)}`).to.equal(grouped(figures.get(name) ?? 0));
    }
    const names = documented.map(([name]) => name);
    for (const name of figures.keys()) {
      if (name in wire) expect(names, `docs/wire.md has no figure ${name}, which src/mirror/wire.ts exports`).to.include(name);
    }
    for (const value of [maxHeldBytes, maxHeldRequests]) expect(text).to.include(grouped(value));
  });

  it('shows bytes as the code makes them: preamble, frame of the transport, frame of the data link', () => {
    expect(text).to.include(`\`${hex(preamble as Uint8Array)}\``);
    const encoder = new FrameEncoder(wire.maxBodyBytes);
    encoder.frame([]);
    encoder.frame([]);
    expect(text).to.include(`\`${hex(encoder.frame([Buffer.from('abc')]))}\``);
    const header = wire.encodeFrameHeader({ epochNumber: 3, owner: 'sender', connectionId: '0123456789abcdef' });
    expect(text).to.include(`\`${hex([header, wire.encodeMessageHeader('ping', 1, 0, 0)])}\``);
  });

  it('shows a whole authentication with its keys', () => {
    const all = (byte: number): Random => ({ bytes: (length) => new Uint8Array(length).fill(byte), fraction: () => 0 });
    const common = { pair: 'office', purpose: 'data:m0', key: new Uint8Array(sharedKeyBytes).fill(7), encrypt: true };
    const identity = (node: string, peer: string): HandshakeIdentity => ({ ...common, node, peer });
    const preambles = [preamble as Uint8Array, preamble as Uint8Array] as const;
    const dialler = new Handshake('dialler', identity('alpha', 'beta'), all(1), preambles);
    const listener = new Handshake('listener', identity('beta', 'alpha'), all(2), preambles);
    const said = [dialler.hello()];
    for (const hearer of [listener, dialler, listener]) said.push(hearer.hear(said.at(-1)!)!);
    dialler.hear(said.at(-1)!);
    for (const message of said) expect(text).to.include(` ${Buffer.from(message).toString('utf8')}\n`);
    expect(text).to.include(`connection ${String(dialler.outcome?.connectionId)}\n`);
    for (const key of [dialler.outcome?.keys?.send, dialler.outcome?.keys?.receive]) expect(text).to.include(`\`${hex(key!)}\``);
  });

  it('explains every field of every JSON that two mirrors say to each other', async () => {
    const pair = await new MirrorPair({
      wrapTransport: (transport, node) => tapFrames(transport, (frame) => heard.push({ node, frame })),
    }).init();
    const heard: { readonly node: string; readonly frame: Uint8Array }[] = [];
    await pair.open('alpha');
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the first copy');
    await pair.mirror('alpha').promote({ epoch: { number: 1, owner: 'alpha' }, alone: false });
    await pair.write('alpha', 0, pattern(4096, 1));
    for (const name of ['hello', 'decide', 'start', 'adopt'] as const) {
      const bodies = heard.flatMap(({ frame }) => wire.decodeMessages(frame)).filter((message) => message.name === name);
      expect(bodies, name).to.not.deep.equal([]);
      const documented = tableRows(section(name), 'field').flatMap(([cell = '']) =>
        [...cell.matchAll(/`([^`]+)`/gu)].map((match) => match[1]),
      );
      for (const { body } of bodies) {
        for (const field of fieldsOf(JSON.parse(Buffer.from(body).toString('utf8')) as Record<string, unknown>)) {
          expect(documented, `docs/wire.md, section "${name}", does not explain the field ${field}`).to.include(field);
        }
      }
    }
  });
});
