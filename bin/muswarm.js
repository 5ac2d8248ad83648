#!/usr/bin/env node
import { existsSync } from "node:fs";
import { checkNode, setupOrSay } from "./setup.js";

const program = new URL("../dist/cli/process.js", import.meta.url);

try {
  checkNode();
} catch (error) {
  process.stderr.write(`muswarm: ${error.message}\n`);
  process.exit(2);
}
// A source checkout that was never set up. (`npm start` and `npm test` also see to changed sources.)
if (!existsSync(program) && !setupOrSay()) process.exitCode = 1;
else await (await import(program)).runProcess();
