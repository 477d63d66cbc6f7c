// docs/compatibility.md: which SDK ran which operation, as the run saw it.

import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OPERATIONS } from './operations.js';

const FILE = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'docs', 'compatibility.md');

const NOT_RUN = 'not run';

/** What stands in place of the version of an SDK that did not run. It says nothing about one machine. */
const NOT_HERE = `${NOT_RUN}: its toolchain or packages were not there`;

/** What a cell says for each result of a driver. */
const CELLS = { passed: 'yes', generic: 'generic', absent: 'no', replayed: 'wire', skipped: NOT_RUN };

/** Renders the page. `columns` are `{ name, source, version, cells }`; without a version it did not run. `cells` maps operations to words. */
function render(columns) {
  const lines = [
    '# Compatibility',
    '',
    'What the official SDKs did against this server. `make compatibility` runs them and writes this page; `make test` runs them again and',
    'fails when an operation has another outcome than this page says. Nobody edits it by hand.',
    '',
    '| cell | meaning |',
    '|---|---|',
    "| yes | the SDK's own method did it, and what it returned was checked field by field |",
    "| generic | the SDK has no method for it; its generic request method did it, and the answer was checked |",
    "| wire | the SDK's request, written to the wire byte for byte as the SDK does, was answered as it must be |",
    '| no | the SDK cannot ask for it |',
    `| ${NOT_RUN} | it was not tried: the SDK did not run when this page was written, or nothing of it is on the wire |`,
    '',
    '| SDK | version | from |',
    '|---|---|---|',
    ...columns.map(({ name, version, source }) => `| ${name} | ${version ?? NOT_HERE} | ${source} |`),
    '',
    'Ruby and PHP are not installed for the tests. Their columns replay what those SDKs put on the wire (`e2e/sdk/recorded/`) and check the answers; what the',
    'SDK then makes of an answer is not seen.',
    '',
    'Every other SDK has a driver (`e2e/sdk/`), which `make test` runs wherever its toolchain and packages are there, whether or not it ran for this page.',
  ];
  for (const group of new Set(OPERATIONS.map((operation) => operation.group))) {
    lines.push('', `## ${group}`, '', `| operation | request | ${columns.map(({ name }) => name).join(' | ')} |`, `|---|---|${'---|'.repeat(columns.length)}`);
    for (const { id, what } of OPERATIONS.filter((operation) => operation.group === group)) {
      lines.push(`| \`${id}\` | ${/^[A-Z]+ \//.test(what) ? `\`${what}\`` : what} | ${columns.map(({ cells }) => cells.get(id)).join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Makes a column of what a driver reported. */
function columnOf({ sdk, version, results }) {
  const cells = new Map(OPERATIONS.map(({ id }) => [id, results ? CELLS[results.get(id).result] : NOT_RUN]));
  return { name: sdk.name, source: sdk.source, version, cells };
}

/** Writes the page. `runs` are `{ sdk, version, results }` or, where an SDK did not run, `{ sdk }`. */
export async function write(runs) {
  await writeFile(FILE, render(runs.map(columnOf)));
}

/**
 * Compares the page with what was seen. A column that did not run here, or did not where the page was made, is not compared.
 * Returns the differences as sentences.
 */
export async function differences(runs) {
  const page = await readFile(FILE, 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.slice(2, -2).split(' | '));
  const found = [];
  const columns = runs.map((run, at) => {
    const column = columnOf(run);
    const [, version] = rows.find(([name, , source]) => name === column.name && source === column.source) ?? [];
    const there = new Map(OPERATIONS.map(({ id }) => [id, rows.find(([first]) => first === `\`${id}\``)?.[at + 2]]));
    const ranThere = version && !version.startsWith(NOT_RUN);
    if (run.results && ranThere) {
      return column;
    }
    return { ...column, version: ranThere ? version : undefined, cells: there };
  });
  const wanted = render(columns).split('\n');
  const lines = page.split('\n');
  for (let i = 0; i < Math.max(wanted.length, lines.length); i += 1) {
    if (wanted[i] !== lines[i]) {
      found.push(`line ${i + 1} says "${lines[i] ?? ''}", and it was "${wanted[i] ?? ''}"`);
    }
  }
  return found;
}
