import { InputError } from "../errors.js";
import { type ByteReader, ByteWriter } from "./bytes.js";
import type { ObjectDef, SymbolDef } from "./contract.js";
import { ChunkError } from "./errors.js";
import { MAX_SYMBOLS } from "./format.js";
import { isWithin, MAX_ASID, unzigzag, zigzag } from "./page-dictionary.js";

/** Bytes of a symbols chunk, about; and of one name or path, at most. */
const CHUNK_BYTES = 1 << 20;
const MAX_NAME_BYTES = 1 << 16;
const MAX_ADDRESS = 2 ** 48 - 1;

/** What the symbols chunks of a trace say together. */
export interface SymbolTable {
  objects: ObjectDef[];
  symbols: SymbolDef[];
}

/** Contents of the symbols chunks. Throws InputError naming the symbol. */
export function* encodeSymbols(
  objects: readonly ObjectDef[],
  symbols: readonly SymbolDef[],
): Generator<Uint8Array> {
  if (symbols.length > MAX_SYMBOLS || objects.length > MAX_SYMBOLS) {
    throw new InputError(`trace writer: more than ${MAX_SYMBOLS} symbols or objects`);
  }
  let object = 0;
  let symbol = 0;
  while (object < objects.length || symbol < symbols.length) {
    const body = new ByteWriter(1 << 16);
    const firstObject = object;
    while (object < objects.length && body.length < CHUNK_BYTES) {
      const { path, buildId } = objects[object];
      putText(body, path, `object ${object}`);
      putText(body, buildId, `object ${object}`);
      object++;
    }
    const firstSymbol = symbol;
    let address = 0;
    while (symbol < symbols.length && body.length < CHUNK_BYTES) {
      const def = symbols[symbol];
      checkSymbol(def, symbol, objects.length);
      body.uvarint(def.asid);
      body.uvarint53(zigzag(def.address - address));
      body.uvarint53(def.size);
      body.uvarint(def.object);
      putText(body, def.name, `symbol ${symbol}`);
      address = def.address;
      symbol++;
    }
    const chunk = new ByteWriter(body.length + 16);
    chunk.uvarint(object - firstObject);
    chunk.uvarint(symbol - firstSymbol);
    chunk.raw(body.view());
    yield chunk.view();
  }
}

/** Adds one chunk's content to the table. Throws ChunkError. */
export function decodeSymbols(input: ByteReader, table: SymbolTable): void {
  const objects = input.uvarint("the number of objects", input.left);
  const symbols = input.uvarint("the number of symbols", input.left);
  if (table.objects.length + objects > MAX_SYMBOLS || table.symbols.length + symbols > MAX_SYMBOLS) {
    throw new ChunkError("too many symbols");
  }
  for (let i = 0; i < objects; i++) table.objects.push({ path: getText(input), buildId: getText(input) });
  let address = 0;
  for (let i = 0; i < symbols; i++) {
    const asid = input.uvarint("asid", MAX_ASID);
    address += unzigzag(input.uvarint53("a symbol's address"));
    if (!isWithin(address, MAX_ADDRESS)) throw new ChunkError(`a symbol's address is ${address}`);
    const size = input.uvarint53("a symbol's size");
    if (size > MAX_ADDRESS) throw new ChunkError(`a symbol's size is ${size}`);
    const object = input.uvarint("a symbol's object", MAX_SYMBOLS);
    table.symbols.push({ asid, address, size, name: getText(input), object });
  }
  input.finish("the symbols");
}

/** To be called after the last chunk. Throws ChunkError. */
export function checkObjects({ objects, symbols }: SymbolTable): void {
  for (const { object, name } of symbols) {
    if (object >= objects.length)
      throw new ChunkError(`symbol ${name} is of object ${object} of ${objects.length}`);
  }
}

function checkSymbol(def: SymbolDef, index: number, objects: number): void {
  const bad = (what: string) => new InputError(`trace writer: symbol ${index} (${def.name}): ${what}`);
  if (!isWithin(def.asid, MAX_ASID)) throw bad(`asid ${def.asid}`);
  if (!isWithin(def.address, MAX_ADDRESS)) throw bad(`address ${def.address} is not a 48-bit address`);
  if (!isWithin(def.size, MAX_ADDRESS)) throw bad(`size ${def.size}`);
  if (!isWithin(def.object, objects - 1)) throw bad(`object ${def.object} of ${objects}`);
}

function putText(out: ByteWriter, text: string, what: string): void {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length > MAX_NAME_BYTES)
    throw new InputError(`trace writer: ${what}: a name of ${bytes.length} bytes`);
  if (bytes.toString("utf8") !== text)
    throw new InputError(`trace writer: ${what}: the name is not valid Unicode`);
  out.uvarint(bytes.length);
  out.raw(bytes);
}

function getText(input: ByteReader): string {
  const bytes = input.take(input.uvarint("a name's length", MAX_NAME_BYTES), "a name");
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}
