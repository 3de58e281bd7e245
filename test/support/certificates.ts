import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const freshKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const elliptic = [...freshKey, '-days', '30'];
const endEntity = ['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'keyUsage=critical,digitalSignature'];

/** Whether `openssl` can be run. */
export async function hasOpenssl(): Promise<boolean> {
  return run('openssl', ['version']).then(
    () => true,
    () => false,
  );
}

/** What a node's certificate says. */
export interface NodeCertificateOptions {
  /** Its DNS names; none: it has a common name alone. Default: the node's. */
  readonly dnsNames?: readonly string[];
  readonly commonName?: string;
  /** Absent: for any use. */
  readonly use?: 'serverAuth' | 'clientAuth';
  /** For how long from now on it is valid; below zero: it has expired. */
  readonly days?: number;
}

/** Where a certificate and its key lie. */
export interface CertificateFiles {
  readonly keyFile: string;
  readonly certificateFile: string;
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

  /** A certificate by which a node dials and listens, in files of this name. */
  async nodeFiles(node: string, options: NodeCertificateOptions = {}, file: string = node): Promise<CertificateFiles> {
    const { dnsNames = [node], commonName = node, use, days = 30 } = options;
    const [keyFile, certificateFile, requestFile] = ['-key.pem', '.pem', '-request.pem'].map((end) =>
      path.join(this.folder, `${file}${end}`),
    ) as [string, string, string];
    const names = dnsNames.map((name) => `DNS:${name}`).join(',');
    const extensions = [
      ...endEntity,
      ...(names === '' ? [] : ['-addext', `subjectAltName=${names}`]),
      ...(use === undefined ? [] : ['-addext', `extendedKeyUsage=${use}`]),
    ];
    await run('openssl', [
      'req',
      '-new',
      ...freshKey,
      '-subj',
      `/CN=${commonName}`,
      ...extensions,
      '-keyout',
      keyFile,
      '-out',
      requestFile,
    ]);
    const issuer = ['-CA', this.caFile, '-CAkey', path.join(this.folder, 'ca-key.pem'), '-days', String(days)];
    await run('openssl', ['x509', '-req', '-in', requestFile, ...issuer, '-copy_extensions', 'copy', '-out', certificateFile]);
    return { keyFile, certificateFile };
  }

  /** The same, as text, with the certificate of the authority. */
  async nodeCertificates(node: string, options: NodeCertificateOptions = {}): Promise<{ key: string; certificate: string; ca: string }> {
    const { keyFile, certificateFile } = await this.nodeFiles(node, options);
    return { key: await readFile(keyFile, 'utf8'), certificate: await readFile(certificateFile, 'utf8'), ca: await this.certificate() };
  }
}
