import { TraceBuilder } from "../support/trace-builder.js";

/** The trace that docs/trace-format.md shows in bytes. */
export function exampleTrace(): TraceBuilder {
  const t = new TraceBuilder();
  const loop = t.block(0x401000, ["48 8b 07", "48 ff c7", "75 f8"], [[0, "load", 8]]);
  t.begin(0).exec(0, loop, 0x7f0010).exec(0, loop, 0x7f0018).exec(0, loop, 0x7f0040).end(0);
  return t;
}
