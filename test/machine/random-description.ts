import { machineSchema } from "../../src/machine/spec.js";
import type { Random } from "../support/random.js";

/** What is used here of a zod schema. */
interface Schema {
  def: {
    type: string;
    innerType?: Schema;
    element?: Schema;
    options?: Schema[];
    entries?: Record<string, string>;
    values?: unknown[];
    catchall?: Schema;
  };
  shape?: Record<string, Schema>;
  minValue?: number | null;
  maxValue?: number | null;
  safeParse(value: unknown): { success: boolean };
}

type Data = Record<string, unknown>;

/** A place in a description: what holds it, its key, what the schema has there. */
export interface Place {
  holder: Data;
  key: string;
  schema: Schema;
  path: string;
}

const inner = (schema: Schema): Schema =>
  schema.def.innerType === undefined ? schema : inner(schema.def.innerType);

/** The member of a union that an object is. */
function member(schema: Schema, value: Data): Schema {
  const options = schema.def.options;
  if (options === undefined) return schema;
  return options.find((o) => inner(o.shape!.model).def.values?.includes(value.model)) ?? options[0];
}

/** A random leaf of a description. @param make objects on the way that it does not have come into being */
export function randomPlace(random: Random, data: Data, make: boolean): Place {
  let holder = data;
  let schema = machineSchema as unknown as Schema;
  let path = "";
  for (;;) {
    schema = member(inner(schema), holder);
    const { shape } = schema;
    const isObject = (key: string) => ["object", "union"].includes(inner(shape![key]).def.type);
    const keys = Object.keys(shape!).filter((key) => make || !isObject(key) || holder[key] !== undefined);
    const key = random.pick(keys);
    const below = inner(schema.shape![key]);
    path += path === "" ? key : `.${key}`;
    const { type } = below.def;
    if (type === "array" && below.def.element!.def.type === "object") {
      const list = holder[key] as Data[] | undefined;
      if (list === undefined || list.length === 0) return { holder, key, schema: schema.shape![key], path };
      const at = random.int(list.length);
      path += `[${at}]`;
      holder = list[at];
      schema = below.def.element!;
      continue;
    }
    if (type !== "object" && type !== "union") return { holder, key, schema: schema.shape![key], path };
    holder[key] ??= {};
    holder = holder[key] as Data;
    schema = below;
  }
}

/** Keys whose largest values would take the host's memory or time, not find anything. */
const MODEST = 4096;

/** A value of the kind that the schema wants, mostly within its range: at its ends more often than chance. */
export function plausible(random: Random, place: Place): unknown {
  const schema = inner(place.schema);
  switch (schema.def.type) {
    case "number": {
      const low = schema.minValue ?? 0;
      const high = Math.min(schema.maxValue ?? 100, MODEST);
      const power = 2 ** random.int(13);
      return random.pick([
        low,
        low,
        low + 1,
        Math.max(low, Math.min(high, power)),
        low + random.int(9),
        high,
      ]);
    }
    case "boolean":
      return random.chance(0.5);
    case "enum":
      return random.pick(Object.values(schema.def.entries!));
    case "literal":
      return schema.def.values![0];
    case "string":
      return random.pick(["lru", "memory", "l2", "llc", "tournament", "l1d", "x"]);
    case "array":
      if (schema.def.element!.def.type === "object") return undefined;
      return Array.from({ length: random.int(5) }, () => 1 + random.int(9));
    default:
      return undefined;
  }
}

/** A value that the schema does not take; undefined: none was found. */
export function wrong(random: Random, place: Place): unknown {
  const schema = inner(place.schema);
  const { minValue, maxValue } = schema;
  const candidates: unknown[] = [null, "", "many", -1, 0.5, 3e9, true, [], {}, [1], Number.NaN, "12"];
  if (typeof minValue === "number") candidates.push(minValue - 1, minValue - 0.5);
  if (typeof maxValue === "number") candidates.push(maxValue + 1, maxValue * 2);
  const refused = candidates.filter((value) => !place.schema.safeParse(value).success);
  return refused.length === 0 ? undefined : random.pick(refused);
}
