import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { TRACE_COMMANDS } from "../../src/cli/trace-commands.js";

test("docs/trace-tools.md names every command and option of the tools", () => {
  const page = readFileSync(new URL("../../docs/trace-tools.md", import.meta.url), "utf8");
  for (const { name, options } of TRACE_COMMANDS) {
    expect(page).toContain(`muswarm ${name}`);
    for (const option of Object.keys(options)) {
      if (["output", "force", "top", "limit", "name"].includes(option)) continue;
      expect(page, `--${option} of ${name}`).toContain(`--${option}`);
    }
  }
});
