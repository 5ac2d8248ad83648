import { InputError, suggestion } from "../errors.js";
import { isScalar, type Message, messageOf, type ProtoFile } from "./proto.js";

/** Bytes of a message in protobuf's binary form, from its JSON form. Numbers may be given as text. Throws InputError naming the field. */
export function encode(proto: ProtoFile, message: Message, json: unknown, place = message.name): Buffer {
  if (json === null || typeof json !== "object" || Array.isArray(json))
    throw new InputError(`${place}: must be an object of fields`);
  const given = json as Record<string, unknown>;
  const names = message.fields.map((field) => field.name);
  for (const key of Object.keys(given)) {
    if (!names.includes(key)) throw new InputError(`${place}: no field "${key}".${suggestion(key, names)}`);
  }
  const parts: Buffer[] = [];
  for (const field of [...message.fields].sort((a, b) => a.number - b.number)) {
    const value = given[field.name];
    if (value === undefined) continue;
    const where = `${place}.${field.name}`;
    if (field.repeated && !Array.isArray(value)) throw new InputError(`${where}: must be a list`);
    for (const each of field.repeated ? (value as unknown[]) : [value]) {
      if (isScalar(field.type)) {
        const bytes = SCALAR_BYTES[field.type](each, where);
        // A plain scalar that has its default value is not sent.
        if (!field.repeated && bytes.every((byte) => byte === 0)) continue;
        parts.push(tag(field.number, WIRE_TYPE[field.type]), bytes);
      } else {
        const inner = encode(proto, messageOf(proto, field.type), each, where);
        parts.push(tag(field.number, 2), varint(BigInt(inner.length)), inner);
      }
    }
  }
  return Buffer.concat(parts);
}

const WIRE_TYPE = { string: 2, bool: 0, int32: 0, int64: 0, float: 5, double: 1 } as const;

const SCALAR_BYTES = {
  string: (value: unknown, where: string) => {
    if (typeof value !== "string") throw new InputError(`${where}: must be text`);
    const bytes = Buffer.from(value, "utf8");
    return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
  },
  bool: (value: unknown, where: string) => {
    if (typeof value !== "boolean") throw new InputError(`${where}: must be true or false`);
    return Buffer.of(value ? 1 : 0);
  },
  int32: (value: unknown, where: string) => varint(whole(value, where, 32)),
  int64: (value: unknown, where: string) => varint(whole(value, where, 64)),
  float: (value: unknown, where: string) => {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(number(value, where));
    return bytes;
  },
  double: (value: unknown, where: string) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(number(value, where));
    return bytes;
  },
};

function number(value: unknown, where: string): number {
  const n = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof n !== "number" || !Number.isFinite(n)) throw new InputError(`${where}: must be a number`);
  return n;
}

function whole(value: unknown, where: string, bits: number): bigint {
  const n = number(value, where);
  if (!Number.isSafeInteger(n) || Math.abs(n) >= 2 ** (bits - 1))
    throw new InputError(`${where}: must be a whole number of ${bits} bits`);
  return BigInt.asUintN(64, BigInt(n));
}

function tag(number: number, wireType: number): Buffer {
  return varint(BigInt(number * 8 + wireType));
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  bytes.push(Number(left));
  return Buffer.from(bytes);
}
