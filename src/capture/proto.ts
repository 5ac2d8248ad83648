import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "../errors.js";

/** What is understood of a .proto file: plain messages of scalars and messages, unary methods, one package. */
export interface ProtoFile {
  /** Package; also the name of the file. */
  package: string;
  text: string;
  messages: Message[];
  services: Service[];
}

export interface Message {
  name: string;
  fields: Field[];
}

export const SCALARS = ["string", "bool", "int32", "int64", "float", "double"] as const;
export type Scalar = (typeof SCALARS)[number];

export interface Field {
  name: string;
  number: number;
  /** A scalar, or the name of a message of the same file. */
  type: string;
  repeated: boolean;
}

export interface Service {
  name: string;
  methods: { name: string; request: string; reply: string }[];
}

export function isScalar(type: string): type is Scalar {
  return (SCALARS as readonly string[]).includes(type);
}

/** Throws InputError, naming `file`, for what is not understood. */
export function parseProto(text: string, file: string): ProtoFile {
  const fail = (problem: string): never => {
    throw new InputError(`${file}: ${problem}`);
  };
  const bare = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, " ");
  const name = /\bpackage\s+(\w+)\s*;/.exec(bare)?.[1] ?? fail("needs a package of one word");
  const messages: Message[] = [];
  const services: Service[] = [];
  for (const [, kind, title, body] of bare.matchAll(
    /\b(message|service)\s+(\w+)\s*\{((?:[^{}]|\{\s*\})*)\}/g,
  )) {
    if (kind === "message") messages.push({ name: title, fields: fieldsOf(body, title, fail) });
    else services.push({ name: title, methods: methodsOf(body, title, fail) });
  }
  const known = new Set(messages.map((m) => m.name));
  for (const message of messages) {
    for (const { name: field, type, repeated } of message.fields) {
      if (!isScalar(type) && !known.has(type))
        fail(
          `${message.name}.${field}: type ${type} is neither a message of this file nor one of ${SCALARS.join(", ")}`,
        );
      if (repeated && isScalar(type) && type !== "string")
        fail(`${message.name}.${field}: of scalars only strings may be repeated`);
    }
  }
  for (const { name: service, methods } of services) {
    for (const { name: method, request, reply } of methods) {
      for (const type of [request, reply])
        if (!known.has(type)) fail(`${service}.${method}: no message ${type}`);
    }
  }
  return { package: name, text, messages, services };
}

function fieldsOf(body: string, message: string, fail: (problem: string) => never): Field[] {
  return statements(body).map((statement) => {
    const match = /^(repeated\s+)?(\w+)\s+(\w+)\s*=\s*(\d+)$/.exec(statement);
    if (match === null) return fail(`${message}: "${statement}" is no plain field`);
    return { repeated: match[1] !== undefined, type: match[2], name: match[3], number: Number(match[4]) };
  });
}

function methodsOf(body: string, service: string, fail: (problem: string) => never): Service["methods"] {
  return statements(body.replaceAll(/\{\s*\}/g, ";")).map((statement) => {
    const match = /^rpc\s+(\w+)\s*\(\s*(\w+)\s*\)\s*returns\s*\(\s*(\w+)\s*\)$/.exec(statement);
    if (match === null) return fail(`${service}: "${statement}" is no plain unary method`);
    return { name: match[1], request: match[2], reply: match[3] };
  });
}

function statements(body: string): string[] {
  return body
    .split(";")
    .map((statement) => statement.trim().replaceAll(/\s+/g, " "))
    .filter((statement) => statement !== "");
}

/** All .proto files of the folders; a later folder's package replaces an earlier one's. */
export function loadProtos(...folders: string[]): ProtoFile[] {
  const found = new Map<string, ProtoFile>();
  for (const folder of folders) {
    for (const file of readdirSync(folder).sort()) {
      if (!file.endsWith(".proto")) continue;
      const path = join(folder, file);
      const proto = parseProto(readFileSync(path, "utf8"), path);
      if (`${proto.package}.proto` !== file)
        throw new InputError(`${path}: has package ${proto.package}; the file's name must be the same`);
      found.set(proto.package, proto);
    }
  }
  return [...found.values()];
}

/** A method with the messages that it takes and gives. */
export interface Method {
  /** As gRPC sends it: "/package.Service/Method". */
  path: string;
  proto: ProtoFile;
  request: Message;
  reply: Message;
}

/** @param name "package.Service/Method" @returns undefined where there is none */
export function findMethod(protos: readonly ProtoFile[], name: string): Method | undefined {
  for (const proto of protos) {
    for (const service of proto.services) {
      const method = service.methods.find((m) => `${proto.package}.${service.name}/${m.name}` === name);
      if (method === undefined) continue;
      return {
        path: `/${name}`,
        proto,
        request: messageOf(proto, method.request),
        reply: messageOf(proto, method.reply),
      };
    }
  }
  return undefined;
}

export function methodNames(protos: readonly ProtoFile[]): string[] {
  return protos.flatMap((proto) =>
    proto.services.flatMap((s) => s.methods.map((m) => `${proto.package}.${s.name}/${m.name}`)),
  );
}

export function messageOf(proto: ProtoFile, name: string): Message {
  const message = proto.messages.find((m) => m.name === name);
  if (message === undefined) throw new Error(`${proto.package} has no message ${name}`);
  return message;
}
