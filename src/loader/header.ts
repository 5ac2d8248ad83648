import { z } from "zod";
import { InputError } from "../errors.js";
import type { TraceHeaderInput } from "./contract.js";
import { ChunkError } from "./errors.js";
import { MAX_CHUNK_BYTES, MAX_CORES, MAX_INVOCATIONS } from "./format.js";

const count = z.int().min(0).max(MAX_INVOCATIONS);
const core = z
  .int()
  .min(0)
  .max(MAX_CORES - 1);

const schema = z
  .strictObject({
    function: z.string(),
    runtime: z.string(),
    clockGHz: z.number().positive(),
    cores: z.int().min(1).max(MAX_CORES),
    functionCore: core,
    clientCore: core,
    warmInvocations: count,
    measuredInvocations: count,
    provenance: z.strictObject({
      command: z.string(),
      date: z.string(),
      versions: z.record(z.string(), z.string()),
      notes: z.array(z.string()).optional(),
    }),
    memoryMiB: z.number().min(0),
    containers: z.record(z.string(), z.string()),
    tasks: z.record(z.string(), z.string()).optional(),
  })
  .refine((h) => h.functionCore < h.cores, { path: ["functionCore"], message: "is not one of the cores" })
  .refine((h) => h.clientCore < h.cores, { path: ["clientCore"], message: "is not one of the cores" });

/** Bytes of the header chunk. Throws InputError naming the key. */
export function encodeHeader(input: TraceHeaderInput): Uint8Array {
  const bytes = Buffer.from(`${JSON.stringify(check(input), null, 1)}\n`, "utf8");
  if (bytes.length > MAX_CHUNK_BYTES)
    throw new InputError(`trace header: ${bytes.length} bytes are too many`);
  return bytes;
}

/** Throws ChunkError. */
export function decodeHeader(bytes: Uint8Array): TraceHeaderInput {
  try {
    return check(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")));
  } catch (error) {
    throw new ChunkError((error as Error).message);
  }
}

function check(input: unknown): TraceHeaderInput {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new InputError(`trace header: ${issue.path.join(".") || "the object"}: ${issue.message}`);
}
