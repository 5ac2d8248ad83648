import { afterEach, describe, expect, test } from "vitest";
import { CaptureError, run, searchPath, start } from "../../src/capture/host.js";

describe("programs of a capture", () => {
  const path = process.env["PATH"];
  afterEach(() => {
    process.env["PATH"] = path;
  });

  test("are looked for where the system's are, too, which users have not in their search path", async () => {
    process.env["PATH"] = "/usr/bin:/bin";
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    const found = await run("look", "sh", ["-c", 'echo "${PATH}"']);
    expect(found.trim().split(":")).toEqual(["/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"]);
  });

  test("are found without any search path", () => {
    expect(searchPath(undefined).split(":")).toEqual(expect.arrayContaining(["/usr/bin", "/usr/sbin"]));
    expect(searchPath("").split(":")).not.toContain("");
  });

  test("that fail are named with what they said", async () => {
    const failing = run("make a disk", "sh", ["-c", "echo no room >&2; exit 3"]);
    await expect(failing).rejects.toThrow(new CaptureError("make a disk: sh failed: no room"));
    await expect(run("make a disk", "absent-program", [])).rejects.toThrow(
      /^make a disk: absent-program failed: .*ENOENT/,
    );
  });

  test("end with all that they have started when they are interrupted", async () => {
    const interrupt = new AbortController();
    // The inner one does not listen to an interrupt, as a program in the background of a shell does not.
    const child = start("sh", ["-c", "sleep 1000 & echo begun; wait"], { signal: interrupt.signal });
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    // Comes when nobody has the output open any more.
    const closed = new Promise((resolve) => child.once("close", resolve));
    interrupt.abort();
    await closed;
  }, 20_000);
});
