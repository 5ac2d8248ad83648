import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { InputError, suggestion } from "../errors.js";

/** The folder capture/ of this package. */
export const CAPTURE_FOLDER = fileURLToPath(new URL("../../capture/", import.meta.url));

const call = z
  .strictObject({
    /** "package.Service/Method" of a .proto file in capture/proto or in the function's folder; with `requestFile` of any service. */
    method: z.string().optional(),
    /** Instead, over HTTP: "/path" or "METHOD /path"; in texts, ${value} stands for the call's value. */
    http: z
      .string()
      .regex(/^([A-Z]+ )?\/\S*$/, "must be /path or METHOD /path")
      .optional(),
    headers: z.record(z.string().regex(/^[\w-]+$/), z.string().regex(/^[^\r\n]*$/)).optional(),
    /** Fields of the request; over HTTP a text, or what is sent as JSON. In texts, ${value} stands for the call's value. */
    request: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
    /** Instead, a file of the function's folder that holds the request as it is sent. */
    requestFile: z.string().optional(),
    /** Fields of the reply that is right where the value is the default one; over HTTP its text. */
    expect: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  })
  .refine((c) => (c.method === undefined) !== (c.http === undefined), "needs either method or http")
  .refine((c) => c.request === undefined || c.requestFile === undefined, {
    path: ["requestFile"],
    message: "cannot be given together with request",
  });

const companion = z.strictObject({
  name: z.string().regex(/^[a-z][\w-]*$/),
  /** Debian packages that it needs. */
  packages: z.array(z.string()).default([]),
  /** Another function, instead of packages: its files are in /muswarm/companions/<function>. */
  function: z.string().optional(),
  command: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()).default({}),
  /** The port on which it listens when it is ready. */
  port: z.int().min(1).max(65535),
});

const schema = z.strictObject({
  description: z.string().default(""),
  suite: z.string().default(""),
  /** How the folder becomes /app in the container. */
  runtime: z.enum(["go", "nodejs", "python", "files", "image"]),
  /** What the container runs; of an image, its arguments in place of the image's own. */
  command: z.array(z.string()).default([]),
  /** Container image: a path from the function's folder. */
  image: z.string().optional(),
  /** Where the function listens. */
  port: z.int().min(1).max(65535).default(50051),
  env: z.record(z.string(), z.string()).default({}),
  /** Debian packages that the container needs beside the runtime's. */
  packages: z.array(z.string()).default([]),
  /** Debian packages of Go libraries that it is compiled with. */
  goPackages: z.array(z.string()).default([]),
  /** Short for one call of helloworld.Greeter/SayHello: its name, and the message that is right ("" = any). */
  input: z.string().optional(),
  expect: z.string().optional(),
  calls: z.array(call).min(1).optional(),
  /** The numbers from which inputs are made. */
  values: z
    .strictObject({ default: z.int().min(0), from: z.int().min(0), to: z.int().min(0) })
    .refine((v) => v.from <= v.to, { path: ["to"], message: "is below from" })
    .default({ default: 1, from: 1, to: 10 }),
  /** What runs beside it in the guest, on core 0: a cache, a database. */
  companions: z.array(companion).default([]),
});

export type Companion = z.infer<typeof companion>;
export type Call = z.infer<typeof call>;

/** A function that can be captured: function.json and where it was found. */
export type FunctionSpec = Omit<z.infer<typeof schema>, "input" | "expect" | "calls"> & {
  name: string;
  folder: string;
  calls: Call[];
  /** .proto files of its services, instead of those of its folder. */
  protoFiles?: string[];
};

export function listFunctions(): { name: string; suite: string; description: string; runtime: string }[] {
  const folder = join(CAPTURE_FOLDER, "functions");
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, "function.json")))
    .map((entry) => readFunction(entry.name, join(folder, entry.name)))
    .map(({ name, suite, description, runtime }) => ({ name, suite, description, runtime }));
}

/** @param name of a function that comes with the package, or path of a folder */
export function findFunction(name: string): FunctionSpec {
  const own = join(CAPTURE_FOLDER, "functions", name);
  if (/^[\w-]+$/.test(name) && existsSync(join(own, "function.json"))) return readFunction(name, own);
  if (existsSync(join(name, "function.json"))) return readFunction(basename(join(name, ".")), name);
  const known = listFunctions().map((f) => f.name);
  throw new InputError(
    `capture: no function "${name}", and no folder of that name with a function.json.${suggestion(name, known)}`,
  );
}

function readFunction(name: string, folder: string): FunctionSpec {
  const path = join(folder, "function.json");
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InputError(`${path}: ${(error as Error).message}`);
  }
  const result = schema.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new InputError(`${path}: ${issue.path.join(".") || "the object"}: ${issue.message}`);
  }
  const { input, expect, calls, ...rest } = result.data;
  if ((rest.runtime === "image") !== (rest.image !== undefined))
    throw new InputError(`${path}: image: must be given with runtime "image", and only then`);
  if (rest.runtime !== "image" && rest.command.length === 0)
    throw new InputError(`${path}: command: needs a program`);
  if (calls !== undefined && (input ?? expect) !== undefined)
    throw new InputError(`${path}: calls: cannot be given together with input or expect`);
  return { ...rest, name, folder, calls: calls ?? [greeting(input ?? "", expect ?? "")] };
}

function greeting(name: string, message: string): Call {
  const reply = message === "" ? {} : { expect: { message } };
  return { method: "helloworld.Greeter/SayHello", request: { name }, ...reply };
}
