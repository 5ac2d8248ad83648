import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { InputError, suggestion } from "../errors.js";
import type { Call, FunctionSpec } from "./functions.js";
import { findMethod, methodNames, type ProtoFile } from "./proto.js";
import { encode } from "./wire.js";

/** Which input each call has: always the same, one after the other, or drawn. */
export const INPUTS = ["unique", "linear", "random"] as const;
export type Inputs = (typeof INPUTS)[number];

/** Inputs of `count` calls: which of the function's calls, and with which value. */
export function drawInputs(
  spec: FunctionSpec,
  inputs: Inputs,
  seed: number,
  count: number,
): { call: number; value: number }[] {
  const { default: usual, from, to } = spec.values;
  const calls = spec.calls.length;
  const range = to - from + 1;
  if (inputs === "unique") return Array.from({ length: count }, () => ({ call: 0, value: usual }));
  if (inputs === "linear") {
    return Array.from({ length: count }, (_, i) => ({
      call: i % calls,
      value: from + (Math.floor(i / calls) % range),
    }));
  }
  const random = generator(seed);
  return Array.from({ length: count }, () => {
    const call = Math.floor(random() * calls);
    return { call, value: from + Math.floor(random() * range) };
  });
}

/** mulberry32: numbers from 0 up to 1. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The lines from which the client makes its calls: method, request and expected reply, both as base64.
 * In place of a reply: `-` any, `*` any that is not empty.
 */
export function callLines(
  spec: FunctionSpec,
  protos: readonly ProtoFile[],
  drawn: readonly { call: number; value: number }[],
): string[] {
  const made = new Map<string, string>();
  return drawn.map(({ call, value }) => {
    const key = `${call},${value}`;
    const line = made.get(key) ?? callLine(spec, protos, call, value);
    made.set(key, line);
    return line;
  });
}

function callLine(spec: FunctionSpec, protos: readonly ProtoFile[], call: number, value: number): string {
  const given = spec.calls[call];
  const place = `${spec.name}: calls.${call}`;
  const isDefault = value === spec.values.default;
  if (given.http !== undefined) return httpLine(spec, given, value, isDefault);
  const { method: name = "", request = {}, requestFile, expect } = given;
  const method = findMethod(protos, name);
  const isRaw = requestFile !== undefined || (spec.runtime === "image" && given.request === undefined);
  if (method === undefined && isRaw) {
    // A service that nothing is known of: its messages go as they are.
    if (!/^[\w.]+\/\w+$/.test(name))
      throw new InputError(`${place}.method: "${name}" is not package.Service/Method`);
    const bytes = requestFile === undefined ? "" : readRequest(spec, requestFile).toString("base64");
    return `/${name} =${bytes} -`;
  }
  if (method === undefined)
    throw new InputError(`${place}.method: no method "${name}".${suggestion(name, methodNames(protos))}`);
  const bytes =
    requestFile !== undefined
      ? readRequest(spec, requestFile)
      : encode(method.proto, method.request, fill(request, value), `${place}.request`);
  let reply = method.reply.fields.length === 0 ? "-" : "*";
  if (expect !== undefined && isDefault) {
    const expected = encode(method.proto, method.reply, fill(expect, value), `${place}.expect`);
    reply = `=${expected.toString("base64")}`;
  }
  return `${method.path} =${bytes.toString("base64")} ${reply}`;
}

/** A call over HTTP/1.1: the request is all that is sent, head and body. */
function httpLine(spec: FunctionSpec, call: Call, value: number, isDefault: boolean): string {
  const { http = "", request, requestFile, expect } = call;
  let body: Buffer | undefined;
  let type = "";
  if (requestFile !== undefined) body = readRequest(spec, requestFile);
  else if (typeof request === "string") body = Buffer.from(String(fill(request, value)));
  else if (request !== undefined) body = Buffer.from(JSON.stringify(fill(request, value)));
  if (body !== undefined) type = isJson(body) ? "application/json" : "application/octet-stream";
  const [method, path] = http.includes(" ") ? http.split(" ") : [body === undefined ? "GET" : "POST", http];
  const headers = new Map([
    ["host", `10.0.0.2:${spec.port}`],
    ["user-agent", "muswarm"],
    ["accept", "*/*"],
  ]);
  if (type !== "") headers.set("content-type", type);
  for (const [name, text] of Object.entries(call.headers ?? {})) headers.set(name.toLowerCase(), text);
  if (body !== undefined || method !== "GET") headers.set("content-length", String(body?.length ?? 0));
  const lines = [...headers].map(([name, text]) => `${name}: ${text}\r\n`);
  const head = `${method} ${fill(path, value)} HTTP/1.1\r\n${lines.join("")}\r\n`;
  const sent = Buffer.concat([Buffer.from(head), body ?? Buffer.alloc(0)]);
  const expected = isDefault && expect !== undefined ? fill(expect, value) : undefined;
  const text = typeof expected === "string" || expected === undefined ? expected : JSON.stringify(expected);
  const reply = text === undefined ? "-" : `=${Buffer.from(text).toString("base64")}`;
  return `HTTP =${sent.toString("base64")} ${reply}`;
}

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString("utf8"));
    return true;
  } catch {
    return false;
  }
}

function readRequest(spec: FunctionSpec, file: string): Buffer {
  const path = resolve(spec.folder, file);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new InputError(
      `${spec.name}: request: cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`,
    );
  }
}

/** Puts a value into the places of a template: see docs/capture.md. */
export function fill(template: unknown, value: number): unknown {
  if (typeof template === "string")
    return template.replaceAll(/\$\{([^}]*)\}/g, (_, text: string) => evaluate(text, value));
  if (Array.isArray(template)) return template.map((each) => fill(each, value));
  if (template !== null && typeof template === "object")
    return Object.fromEntries(Object.entries(template).map(([key, each]) => [key, fill(each, value)]));
  return template;
}

/** `value*3+1`, from left to right; or `a|b|c`: the value-th of the words. */
function evaluate(text: string, value: number): string {
  if (text.includes("|")) {
    const words = text.split("|");
    return words[value % words.length];
  }
  const match = /^value((?:[-+*/%]\d+(?:\.\d+)?)*)$/.exec(text);
  if (match === null)
    throw new InputError(
      `"\${${text}}": must be value, followed by operations like *3+1, or words with | between them`,
    );
  let result = value;
  for (const [, operation, digits] of match[1].matchAll(/([-+*/%])(\d+(?:\.\d+)?)/g)) {
    const n = Number(digits);
    if (operation === "+") result += n;
    else if (operation === "-") result -= n;
    else if (operation === "*") result *= n;
    else if (operation === "/") result /= n;
    else result %= n;
  }
  return String(Number(result.toFixed(9)));
}
