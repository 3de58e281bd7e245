import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';

/** Files directly under src/ that everything may import. */
const rootFiles = new Set(['bytes', 'errors', 'rules', 'events', 'epoch', 'health', 'loopback', 'vocabulary']);

/** The files of each adapter folder that hold its interface, and the helpers written against it. */
const interfaceFiles = {
  transport: new Set(['transport', 'peer-link', 'url']),
  device: new Set(['block-device', 'promises', 'requests', 'durable-record']),
  platform: new Set(['platform-actions']),
  arbiter: new Set(['arbiter']),
  'net-disk': new Set(),
};

/** What one adapter has and others need too. */
const sharedByAdapters = new Set(['transport/taken-over-socket', 'transport/tls-keys', 'transport/unix-socket']);

const coreFolders = new Set(['mirror', 'heartbeat', 'failover']);
const clockInterfaces = new Set(['clock', 'random', 'within']);

/** What a file of each zone may import by value, beside its own folder. */
const reach = {
  root: ['root', 'clock-interface'],
  clock: ['root'],
  'clock-interface': ['root'],
  interface: ['root', 'clock-interface'],
  adapter: ['root', 'clock-interface'],
  core: ['root', 'clock-interface', 'interface'],
  index: ['root', 'clock-interface', 'clock', 'interface', 'core'],
  testing: ['root', 'clock-interface', 'clock', 'interface', 'adapter', 'core', 'index', 'testing'],
  node: ['root', 'clock-interface', 'clock', 'interface', 'adapter', 'core', 'index', 'testing'],
  cli: ['root', 'clock-interface', 'clock', 'node'],
};

/** Modules that reach the operating system, and the zones that may. */
const systemModules = new Set(['child_process', 'cluster', 'dgram', 'fs', 'http', 'http2', 'https', 'net', 'tls', 'worker_threads']);
const systemZones = new Set(['adapter', 'node', 'cli']);

/** What everyone may take from them by name, for it only computes. */
const pureNames = { net: new Set(['BlockList', 'isIP', 'isIPv4', 'isIPv6']) };

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const packages = new Set([...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies ?? {})]);

/** Where a file belongs, from its path relative to src/ without extension. Undefined for a folder that has no place yet. */
function placeOf(file) {
  const [folder, ...rest] = file.split('/');
  const name = rest.join('/');
  if (rest.length === 0) {
    if (folder === 'index') return { zone: 'index', folder: '' };
    return rootFiles.has(folder) ? { zone: 'root', folder: '' } : undefined;
  }
  if (folder === 'clock') return { zone: clockInterfaces.has(name) ? 'clock-interface' : 'clock', folder };
  if (Object.hasOwn(interfaceFiles, folder)) return { zone: interfaceFiles[folder].has(name) ? 'interface' : 'adapter', folder, name };
  if (coreFolders.has(folder)) return { zone: 'core', folder };
  return ['testing', 'node', 'cli'].includes(folder) ? { zone: folder, folder } : undefined;
}

function mayImport(from, to, typeOnly) {
  if (from.folder !== '' && from.folder === to.folder) return true;
  if (from.zone === 'cli' && typeOnly) return true;
  if (from.folder === 'net-disk' && to.folder === 'device' && to.zone === 'interface') return true;
  if (from.zone === 'adapter' && sharedByAdapters.has(`${to.folder}/${to.name}`)) return true;
  return reach[from.zone].includes(to.zone);
}

function packageOf(specifier) {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

function takesOnlyPureNames(module, names) {
  return names.length > 0 && names.every((name) => pureNames[module]?.has(name));
}

/** The complaint about one import, or undefined when it is fine. */
function complaint(file, from, { specifier, typeOnly, names }) {
  if (specifier.startsWith('.')) {
    const target = path.posix.join(path.posix.dirname(file), specifier);
    if (target.startsWith('..')) return { messageId: 'outside' };
    const to = placeOf(target.replace(/\.ts$/, ''));
    if (to === undefined) return { messageId: 'placeless', data: { file: target } };
    return mayImport(from, to, typeOnly) ? undefined : { messageId: 'direction', data: { from: file, to: target } };
  }
  if (specifier.startsWith('node:')) {
    const [module] = specifier.slice('node:'.length).split('/');
    const fine = systemZones.has(from.zone) || !systemModules.has(module) || takesOnlyPureNames(module, names);
    return fine ? undefined : { messageId: 'system', data: { specifier } };
  }
  if (isBuiltin(specifier)) return { messageId: 'prefix', data: { specifier } };
  return packages.has(packageOf(specifier)) ? undefined : { messageId: 'package', data: { specifier } };
}

/** cli → node → {mirror, heartbeat, failover} → interfaces; adapters know only their own interface. */
export const importDirection = {
  meta: {
    type: 'problem',
    docs: { description: 'Imports in src/ go one way: cli, node, the three classes, the interfaces.' },
    schema: [],
    messages: {
      direction: '{{from}} must not import {{to}}: imports go cli → node → {mirror, heartbeat, failover} → interfaces.',
      outside: 'A source file must not import from outside src/.',
      package: "'{{specifier}}' is not a dependency in package.json.",
      placeless: '{{file}} has no place in the direction of imports; give it one in scripts/eslint/import-direction.js.',
      prefix: "Write 'node:{{specifier}}'.",
      system: 'Only adapters, node/ and cli/ may import {{specifier}}.',
    },
  },
  create(context) {
    const relative = path.relative(path.join(context.cwd, 'src'), context.filename).split(path.sep).join('/');
    if (relative.startsWith('..')) return {};
    const from = placeOf(relative.replace(/\.ts$/, ''));

    function check(source, typeOnly, names = []) {
      if (from === undefined || typeof source?.value !== 'string') return;
      const found = complaint(relative, from, { specifier: source.value, typeOnly, names });
      if (found) context.report({ node: source, ...found });
    }

    return {
      Program(node) {
        if (from === undefined) context.report({ node, messageId: 'placeless', data: { file: relative } });
      },
      ImportDeclaration(node) {
        const names = node.specifiers.map(({ imported }) => imported?.name);
        check(node.source, node.importKind === 'type', names);
      },
      ExportNamedDeclaration: (node) => check(node.source, node.exportKind === 'type'),
      ExportAllDeclaration: (node) => check(node.source, node.exportKind === 'type'),
      ImportExpression: (node) => check(node.source, false),
      TSImportType: (node) => check(node.source, true),
    };
  },
};
