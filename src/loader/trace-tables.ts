import { ByteReader } from "./bytes.js";
import type { BlockTable, PageTable } from "./contract.js";
import type { StreamChunk } from "./core-stream.js";
import { ChunkKind } from "./format.js";
import { BlockTableBuilder, type DecodeTables, PageTableBuilder } from "./tables.js";
import type { ChunkReader, TraceFile } from "./trace-file.js";

/** All static parts of a trace. */
export interface TraceTables {
  pages: PageTable;
  blocks: BlockTable;
  decode: DecodeTables;
}

/** Reads the pages and blocks chunks among `chunks`. Throws TraceError. */
export function readTables(
  file: TraceFile,
  reader: ChunkReader,
  chunks: readonly StreamChunk[],
): TraceTables {
  const pages = new PageTableBuilder();
  const blocks = new BlockTableBuilder();
  for (const chunk of chunks) {
    if (chunk.kind !== ChunkKind.Pages && chunk.kind !== ChunkKind.Blocks) continue;
    const content = reader.content(chunk);
    file.at(chunk.offset, () => {
      const input = new ByteReader(content);
      if (chunk.kind === ChunkKind.Pages) pages.add(input);
      else blocks.add(input, pages.pageCount);
    });
  }
  return { pages: pages.finish(), ...blocks.finish(pages.pageCount) };
}
