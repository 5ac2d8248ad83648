import { InputError } from "../errors.js";
import { loadMachine, machineNames, parseOverride } from "../machine/load.js";
import { describeCaches, describeCores } from "../stats/report.js";
import type { Args } from "./args.js";
import { type Io, writeJson } from "./io.js";
import { usePlugins } from "./sim.js";

/** `muswarm machines [name]`. A whole machine is printed as JSON with or without --json: it is a machine file. */
export async function machines(args: Args, io: Io): Promise<number> {
  await usePlugins(args);
  const overrides = args.texts("set").map(parseOverride);
  const [name] = args.words;
  if (name !== undefined) {
    writeJson(io, loadMachine(name, overrides));
    return 0;
  }
  if (overrides.length > 0) throw new InputError("machines: --set needs the name of a machine");
  const specs = machineNames().map((n) => loadMachine(n));
  if (args.flag("json")) {
    writeJson(
      io,
      specs.map(({ name, description, clockGHz, cores }) => ({ name, description, clockGHz, cores })),
    );
    return 0;
  }
  const width = Math.max(...specs.map((s) => s.name.length));
  for (const spec of specs) {
    io.stdout.write(`${spec.name.padEnd(width)}  ${spec.description}\n`);
    io.stdout.write(`${"".padEnd(width)}  ${describeCores(spec)}, ${describeCaches(spec)}\n`);
  }
  return 0;
}
