import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { main } from "../../src/cli/cli.js";

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the command line in this process with streams that are kept. */
export async function muswarm(
  argv: readonly string[],
  more: { env?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Ran> {
  let stdout = "";
  let stderr = "";
  const stream = (write: (text: string) => void) => ({ write, isTTY: false, columns: 100 });
  const code = await main(argv, {
    stdout: stream((text) => {
      stdout += text;
    }),
    stderr: stream((text) => {
      stderr += text;
    }),
    env: more.env ?? {},
    signal: more.signal ?? new AbortController().signal,
  });
  return { code, stdout, stderr };
}

const folders: string[] = [];

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "muswarm-test-"));
  folders.push(folder);
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
