import { main } from "./cli.js";
import type { Io, Output } from "./io.js";

const GRACE_MS = 2000;

/** Runs the command line of this process: the one place that touches it. The exit code is set; output drains first. */
export async function runProcess(): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = () => {
    if (interrupt.signal.aborted) process.exit(130);
    interrupt.abort();
    setTimeout(() => process.exit(130), GRACE_MS).unref();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const io: Io = {
    stdout: output(process.stdout),
    stderr: output(process.stderr),
    env: process.env,
    signal: interrupt.signal,
  };
  const code = await main(process.argv.slice(2), io);
  process.off("SIGINT", onSignal);
  process.off("SIGTERM", onSignal);
  if (interrupt.signal.aborted) process.exit(130);
  process.exitCode = code;
}

/** A reader that goes away (`| head`) ends the output, not the work. */
function output(stream: NodeJS.WriteStream): Output {
  let open = true;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    open = false;
  });
  return {
    write(text) {
      if (open) stream.write(text);
    },
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns ?? 100;
    },
  };
}
