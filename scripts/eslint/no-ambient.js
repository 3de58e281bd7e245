/** Globals that are time or chance whatever is done with them. */
const forbiddenGlobals = new Set([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'performance',
  'PerformanceObserver',
  'PerformanceMark',
  'PerformanceMeasure',
  'Temporal',
]);

/** Globals of which only some members are time or chance. */
const forbiddenMembers = {
  Date: new Set(['now']),
  Math: new Set(['random']),
  process: new Set(['hrtime', 'uptime']),
  AbortSignal: new Set(['timeout']),
  crypto: new Set(['getRandomValues', 'randomUUID']),
};

const globalObjects = new Set(['globalThis', 'global', 'self', 'window']);
const forbiddenModules = new Set(['timers', 'timers/promises']);

/** Names that a module may export and src/ may not take from it; a pattern covers node:crypto's random family. */
const forbiddenExports = {
  crypto: /^(random|pseudoRandomBytes|prng|rng|getRandomValues|webcrypto)/,
  process: /^(hrtime|uptime)$/,
  // A histogram knows nothing of time: it only counts the numbers that it is given.
  perf_hooks: /^(?!createHistogram$)/,
};

function memberName(node) {
  if (!node.computed) return node.property.name;
  return node.property.type === 'Literal' ? String(node.property.value) : undefined;
}

function isMemberAccess(node) {
  return node.parent.type === 'MemberExpression' && node.parent.object === node;
}

/** Whether the whole value is handed on, so that what happens to it can no longer be seen: `const { now } = Date`. */
function isHandedOn(node) {
  const { parent } = node;
  return !(parent.type === 'BinaryExpression' || parent.type === 'TSTypeQuery' || parent.type === 'UnaryExpression');
}

/** What is ambient about a use of the global `name` at `node`, in words; undefined when nothing is. */
function ambientUse(name, node) {
  if (node.parent.type === 'TSTypeQuery') return undefined;
  if (forbiddenGlobals.has(name)) return name;
  if (globalObjects.has(name)) {
    if (!isMemberAccess(node)) return isHandedOn(node) ? name : undefined;
    const member = memberName(node.parent);
    return member === undefined ? name : ambientUse(member, node.parent);
  }
  const members = forbiddenMembers[name];
  if (members === undefined) return undefined;
  if (isMemberAccess(node)) {
    const member = memberName(node.parent);
    return member === undefined || members.has(member) ? `${name}.${member ?? '[…]'}` : undefined;
  }
  const { parent } = node;
  if (name === 'Date' && parent.type === 'NewExpression' && parent.callee === node) {
    return parent.arguments.length === 0 ? 'new Date()' : undefined;
  }
  return isHandedOn(node) ? name : undefined;
}

/** The references to globals in a file: those that nothing in it declares. */
function globalReferences(globalScope) {
  const declaredByLibrary = globalScope.variables.filter((variable) => variable.defs.length === 0);
  return new Set([...globalScope.through, ...declaredByLibrary.flatMap((variable) => variable.references)]);
}

/** Time and chance are injected as `Clock` and `Random`; nothing in src/ but their system implementations reads them on its own. */
export const noAmbient = {
  meta: {
    type: 'problem',
    docs: { description: 'No ambient time or chance: take a Clock or a Random.' },
    schema: [],
    messages: {
      ambient: '{{what}} is ambient time or chance; take it from an injected Clock or Random.',
    },
  },
  create(context) {
    const { sourceCode } = context;
    const report = (node, what) => context.report({ node, messageId: 'ambient', data: { what } });

    /** Uses of `import crypto from 'node:crypto'` and `import * as crypto`. */
    function checkWholeModule(specifier, pattern) {
      for (const variable of sourceCode.getDeclaredVariables(specifier)) {
        for (const { identifier } of variable.references) {
          const member = isMemberAccess(identifier) ? memberName(identifier.parent) : undefined;
          if (member === undefined || pattern.test(member)) report(identifier, `${variable.name}.${member ?? '[…]'}`);
        }
      }
    }

    function checkModule(node) {
      const specifier = String(node.source?.value ?? '');
      const module = specifier.replace(/^node:/, '');
      if (forbiddenModules.has(module)) report(node, specifier);
      const pattern = forbiddenExports[module];
      if (pattern === undefined) return;
      if (node.type === 'ExportAllDeclaration' || node.type === 'ImportExpression') report(node, specifier);
      for (const each of node.specifiers ?? []) {
        if (each.type === 'ImportDefaultSpecifier' || each.type === 'ImportNamespaceSpecifier') checkWholeModule(each, pattern);
        else if (pattern.test((each.imported ?? each.local).name)) report(each, `${specifier} ${(each.imported ?? each.local).name}`);
      }
    }

    return {
      'ImportDeclaration[importKind!="type"]': checkModule,
      ExportNamedDeclaration: checkModule,
      ExportAllDeclaration: checkModule,
      ImportExpression: checkModule,
      'Program:exit'(program) {
        for (const reference of globalReferences(sourceCode.getScope(program))) {
          if (reference.isTypeReference === true && reference.isValueReference !== true) continue;
          const what = ambientUse(reference.identifier.name, reference.identifier);
          if (what !== undefined) report(reference.identifier, what);
        }
      },
    };
  },
};
