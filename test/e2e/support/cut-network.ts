import { proxyTo } from '../../transport/proxy.ts';
import type { Proxy } from '../../transport/proxy.ts';
import type { CommandPair, NodeName, PairFile } from './command-pair.ts';

/** The data link and the first monitor link of a pair, which can be cut: what the peer dials of them is a proxy. */
export class CutNetwork {
  readonly #proxies: readonly Proxy[];

  private constructor(proxies: readonly Proxy[]) {
    this.#proxies = proxies;
  }

  /** Writes the addresses of the proxies into the configuration. */
  static async of(file: PairFile): Promise<CutNetwork> {
    const [dataLink, net] = [file.mirrors[0]?.dataLink, file.monitor.links[0]] as Record<NodeName, unknown>[];
    const proxies: Proxy[] = [];
    for (const ends of [dataLink, net])
      for (const node of ['alpha', 'beta'] as const) {
        const listen = String(ends?.[node]);
        const proxy = await proxyTo(listen);
        proxies.push(proxy);
        if (ends) ends[node] = { listen, advertise: proxy.url };
      }
    return new CutNetwork(proxies);
  }

  /** From now on nothing passes. */
  cut(): void {
    for (const proxy of this.#proxies) proxy.silent = true;
  }

  /** Everything passes again; resolves once data link and monitor link are back and alpha serves a healthy pair. */
  async mend(pair: CommandPair): Promise<void> {
    for (const proxy of this.#proxies) proxy.silent = false;
    for (const node of ['alpha', 'beta'] as const)
      await pair.until(
        node,
        'the network again',
        ({ mirrors, monitor }) => mirrors.every(({ connection }) => connection === 'connected') && monitor.links[0]?.state === 'up',
      );
    await pair.health('alpha');
  }

  async end(): Promise<void> {
    for (const proxy of this.#proxies) await proxy.close();
  }
}
