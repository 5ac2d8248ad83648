import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { expect, test } from "vitest";

const built = new URL("../../dist/", import.meta.url);
const FLAG = "--trace-protector-invalidation";

/** What V8 says of its assumptions while a module's code runs. */
const assumptionsLost = (code: string): string =>
  spawnSync(process.execPath, [FLAG, "--input-type=module", "-e", code], { encoding: "utf8" }).stdout;

const decoder = new URL("loader/decode/decode.js", built).href;
const lost = "ArrayBufferDetaching";
// The flag is V8's own, and a version may not have it: then it does not tell of a real loss either.
const told = assumptionsLost(
  "structuredClone(new ArrayBuffer(8), { transfer: [new ArrayBuffer(8)] });",
).includes(lost);

test.skipIf(!existsSync(built) || !told)(
  "importing the package, or the decoder, does not make typed arrays slow",
  () => {
    const index = new URL("index.js", built).href;
    expect(assumptionsLost(`await import(${JSON.stringify(index)});`)).not.toContain(lost);
    expect(assumptionsLost(`await import(${JSON.stringify(decoder)});`)).not.toContain(lost);
  },
);
