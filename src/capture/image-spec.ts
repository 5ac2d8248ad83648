import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { InputError } from "../errors.js";
import type { Call, FunctionSpec } from "./functions.js";
import { imageName } from "./image/index.js";

/** A container image to capture, and the one call that is made to it. */
export interface ImageOptions {
  /** OCI bundle, OCI image layout or archive of `docker save`. */
  path: string;
  /** Where the server in it listens. */
  port: number;
  /** "package.Service/Method" of a gRPC call; or "/path" or "METHOD /path" of a call over HTTP/1.1. */
  grpc?: string;
  http?: string;
  /** File with the request: the message as it is sent (with `proto` as JSON); over HTTP the body. */
  request?: string;
  /** .proto file that has the method. */
  proto?: string;
  /** "Name: value", over HTTP. */
  headers?: readonly string[];
  /** "NAME=value", beside the image's own. */
  env?: readonly string[];
  /** In place of the image's arguments. */
  args?: readonly string[];
}

/** The function that an image is. Throws InputError naming the option. */
export function imageSpec(image: ImageOptions): FunctionSpec {
  const { path, port, grpc, http, request, proto, args = [] } = image;
  if ((grpc === undefined) === (http === undefined))
    throw new InputError("capture: --image needs either --grpc package.Service/Method or --http /path");
  if (!(port >= 1 && port <= 65535))
    throw new InputError(`capture: --port ${port} is no port; give 1 to 65535`);
  for (const file of [request, proto])
    if (file !== undefined && !existsSync(file)) throw new InputError(`capture: no file ${file}`);
  return {
    name: imageName(path),
    folder: resolve("."),
    protoFiles: proto === undefined ? [] : [proto],
    description: "",
    suite: "",
    runtime: "image",
    command: [...args],
    image: resolve(path),
    port,
    env: Object.fromEntries((image.env ?? []).map((each) => pair(each, "=", "env", "NAME=value"))),
    packages: [],
    goPackages: [],
    companions: [],
    values: { default: 1, from: 1, to: 1 },
    calls: [grpc !== undefined ? grpcCall(grpc, image) : httpCall(http ?? "", image)],
  };
}

function grpcCall(method: string, { request, proto, headers = [] }: ImageOptions): Call {
  if (headers.length > 0) throw new InputError("capture: --header goes with --http only");
  if (!/^[\w.]+\/\w+$/.test(method))
    throw new InputError(`capture: --grpc "${method}" is not package.Service/Method`);
  if (proto !== undefined) return { method, request: request === undefined ? {} : json(request) };
  return request === undefined ? { method } : { method, requestFile: resolve(request) };
}

function httpCall(http: string, { request, proto, headers = [] }: ImageOptions): Call {
  if (proto !== undefined) throw new InputError("capture: --proto goes with --grpc only");
  if (!/^([A-Z]+ )?\/\S*$/.test(http))
    throw new InputError(`capture: --http "${http}" is neither /path nor "METHOD /path"`);
  const given = Object.fromEntries(headers.map((each) => pair(each, ":", "header", '"Name: value"')));
  return { http, headers: given, ...(request === undefined ? {} : { requestFile: resolve(request) }) };
}

function pair(text: string, separator: string, option: string, form: string): [string, string] {
  const at = text.indexOf(separator);
  if (at < 1 || /[\r\n]/.test(text)) throw new InputError(`capture: --${option} ${text} is not ${form}`);
  return [text.slice(0, at).trim(), separator === ":" ? text.slice(at + 1).trim() : text.slice(at + 1)];
}

function json(file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new InputError(
      `capture: --request ${file}: with --proto it must be JSON: ${(error as Error).message}`,
    );
  }
}

/** The words of a command line that mean these options. */
export function imageWords(image: ImageOptions): string[] {
  const words = ["--image", image.path, "--port", String(image.port)];
  const single = { grpc: image.grpc, http: image.http, request: image.request, proto: image.proto };
  for (const [name, value] of Object.entries(single)) if (value !== undefined) words.push(`--${name}`, value);
  for (const header of image.headers ?? []) words.push("--header", header);
  for (const variable of image.env ?? []) words.push("--env", variable);
  return image.args === undefined || image.args.length === 0 ? words : [...words, "--", ...image.args];
}
