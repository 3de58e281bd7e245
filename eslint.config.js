import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

import { importDirection } from './scripts/eslint/import-direction.js';
import { noAmbient } from './scripts/eslint/no-ambient.js';

const nodeGlobals = Object.fromEntries(['clearTimeout', 'console', 'process', 'setTimeout', 'URL'].map((name) => [name, 'readonly']));

const skipsWithoutReason = [
  {
    selector: "MemberExpression[object.name=/^(it|describe|context|specify)$/][property.name='skip']",
    message: 'Call skipBecause(this, reason), so that the report can say why.',
  },
  {
    selector: "CallExpression[callee.object.type='ThisExpression'][callee.property.name='skip']",
    message: 'Call skipBecause(this, reason), so that the report can say why.',
  },
];

export default defineConfig(
  { ignores: ['lib/', '.build/', '.prove/', '.nodes/', 'coverage/', 'docs/reference/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      'object-shorthand': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: { globals: nodeGlobals },
  },
  {
    files: ['**/*.ts', '**/*.cts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports', disallowTypeAnnotations: false }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      // Byte and table access in bounds is the norm here, and noUncheckedIndexedAccess would make each a branch.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // What comes from outside has been cast, not checked; converting it is the check.
      '@typescript-eslint/no-unnecessary-type-conversion': 'off',
      // A method without await still has to give its promise where an interface asks for one.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // A default is a decision about everything else; only a switch without one can forget.
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['src/**/*.ts', 'src/**/*.cts'],
    plugins: { hotmirror: { rules: { 'import-direction': importDirection, 'no-ambient': noAmbient } } },
    rules: {
      'hotmirror/import-direction': 'error',
      'hotmirror/no-ambient': 'error',
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
    },
  },
  {
    files: ['src/clock/system-*.ts'],
    rules: { 'hotmirror/no-ambient': 'off' },
  },
  {
    files: ['src/cli/**/*.ts', 'src/cli/**/*.cts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // chai's assertions are properties.
      '@typescript-eslint/no-unused-expressions': 'off',
      'no-restricted-syntax': ['error', ...skipsWithoutReason],
    },
  },
  {
    // The one place that may skip.
    files: ['test/support/skip.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: ['scripts/**/*.js'],
    rules: { 'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }] },
  },
);
