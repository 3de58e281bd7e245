import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
const endEntity = ['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'keyUsage=critical,digitalSignature'];

/** Whether `openssl` can be run. */
export async function hasOpenssl(): Promise<boolean> {
  return run('openssl', ['version']).then(
    () => true,
    () => false,
  );
}

/** An authority of its own in a folder, as `openssl` makes it. */
export class Authority {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(folder: string): Promise<Authority> {
    await mkdir(folder, { recursive: true });
    const extensions = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'];
    const subject = `/CN=${path.basename(folder)}`;
    const [key, certificate] = [path.join(folder, 'ca-key.pem'), path.join(folder, 'ca.pem')];
    await run('openssl', ['req', '-x509', ...elliptic, '-subj', subject, ...extensions, '-keyout', key, '-out', certificate]);
    return new Authority(folder);
  }

  /** The certificate of the authority, PEM. */
  get caFile(): string {
    return path.join(this.folder, 'ca.pem');
  }

  /** The same, as text. */
  certificate(): Promise<string> {
    return readFile(this.caFile, 'utf8');
  }

  /** A certificate for `localhost`, and its key, under these names. */
  async issue(use: 'serverAuth' | 'clientAuth', keyFile: string, certificateFile: string): Promise<void> {
    const extensions = [...endEntity, '-addext', `extendedKeyUsage=${use}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const issuer = ['-CA', this.caFile, '-CAkey', path.join(this.folder, 'ca-key.pem')];
    const request = ['req', '-x509', ...elliptic, '-subj', '/CN=localhost', ...extensions, ...issuer];
    await run('openssl', [...request, '-keyout', keyFile, '-out', certificateFile]);
  }

  /** A certificate and its key, as text. */
  async issued(use: 'serverAuth' | 'clientAuth', name: string): Promise<{ readonly key: string; readonly cert: string }> {
    const [keyFile, certificateFile] = [path.join(this.folder, `${name}-key.pem`), path.join(this.folder, `${name}.pem`)];
    await this.issue(use, keyFile, certificateFile);
    return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certificateFile, 'utf8') };
  }
}
