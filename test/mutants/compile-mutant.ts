import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import ts from 'typescript';

import { repositoryRoot } from '../support/repository.ts';
import { mutantMark } from './mutant.ts';
import type { Edit, Mutant, ReplacedModule } from './mutant.ts';

const compilerOptions = readCompilerOptions();

/** Compiles the files of a mutant, broken. Throws where a text is not found exactly once: then the code has moved, and the mutant has to follow. */
export function compileMutant({ name, edits }: Mutant): readonly ReplacedModule[] {
  const files = [...new Set(edits.map(({ file }) => file))];
  return files.map((file) => {
    const original = readFileSync(path.join(repositoryRoot, 'src', file), 'utf8');
    let text = original;
    for (const edit of edits) if (edit.file === file) text = replaceOnce(name, original, text, edit);
    const { outputText, diagnostics = [] } = ts.transpileModule(text, { compilerOptions, fileName: file, reportDiagnostics: true });
    const [wrong] = diagnostics;
    if (wrong) throw new Error(`the mutant "${name}" does not compile: ${ts.flattenDiagnosticMessageText(wrong.messageText, '\n')}`);
    const compiled = path.join(repositoryRoot, '.build', 'src', file.replace(/\.ts$/u, '.js'));
    return { url: pathToFileURL(compiled).href, source: `${outputText}\nglobalThis.${mutantMark} = true;\n` };
  });
}

function replaceOnce(name: string, original: string, text: string, { file, find, replace }: Edit): string {
  const found = original.split(find).length - 1;
  if (found !== 1 || !text.includes(find)) {
    throw new Error(`the mutant "${name}" has died: its text occurs ${String(found)} times in src/${file}, and has to once:\n${find}`);
  }
  return text.replace(find, () => replace);
}

/** As the tests are compiled, but always to a module, since one file alone does not tell that it is one. */
function readCompilerOptions(): ts.CompilerOptions {
  const read = (file: string): string | undefined => ts.sys.readFile(file);
  const { config } = ts.readConfigFile(path.join(repositoryRoot, 'tsconfig.json'), read) as {
    readonly config: { readonly compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, repositoryRoot);
  return {
    target: options.target ?? ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
  };
}
