import { type BlockTable, SlotFlag } from "../loader/index.js";
import { accessProblem, deliveryLength, type ListedAccess } from "./access-rules.js";
import { Check } from "./check.js";
import { hexAddress, type StaticCode } from "./code.js";
import { endsBlock } from "./flow.js";

/** What the dictionary of a trace says, without its streams. */
export interface StaticChecks {
  decode: Check;
  branches: Check;
  accesses: Check;
  /** By block: 1 where its last instruction also has the accesses of an interrupt's delivery. */
  delivers: Uint8Array;
  synthesised: boolean;
}

/**
 * Looks at every block once.
 * @param synthesised the instruction bytes were made up by a converter: they say nothing of the accesses
 */
export function checkBlocks(code: StaticCode, synthesised: boolean): StaticChecks {
  const checks = {
    decode: new Check("instruction bytes decode, with the lengths that the trace says"),
    branches: new Check("branches end their blocks"),
    accesses: new Check("loads and stores are what the instruction can do"),
    delivers: new Uint8Array(code.blocks.count),
    synthesised,
  };
  const { blocks } = code;
  for (let block = 0; block < blocks.count; block++) {
    const first = blocks.instrStart[block];
    const end = blocks.instrStart[block + 1];
    let slot = blocks.slotStart[block];
    for (let i = first; i < end; i++) {
      const facts = code.facts(i);
      const where = () =>
        `block ${block}, ${hexAddress(code.instructionAddress(block, i))}: ${bytesText(code, i)}`;
      checks.decode.tested++;
      if (!facts.valid)
        checks.decode.fail(() => `${where()}: not one instruction of ${code.bytes(i).length} bytes`);
      const text = () => `${where()} ${code.text(block, i)}`;
      if (i + 1 < end) {
        checks.branches.tested++;
        if (endsBlock(facts.flow)) checks.branches.fail(text);
      }
      const listed: ListedAccess[] = [];
      slot = listAccesses(blocks, slot, blocks.slotStart[block + 1], i - first, listed);
      if (synthesised || !facts.valid) continue;
      checks.accesses.tested++;
      let problem = accessProblem(facts.access, listed);
      const delivery = problem !== "" && i + 1 === end ? deliveryLength(listed) : 0;
      if (delivery > 0) {
        checks.delivers[block] = 1;
        problem = accessProblem(facts.access, listed.slice(0, -delivery));
      }
      if (problem !== "") checks.accesses.fail(() => `${text()}: ${problem}`);
    }
  }
  return checks;
}

/** Gathers the accesses of one instruction; halves of straddling ones are joined. @returns the next slot */
function listAccesses(
  blocks: BlockTable,
  from: number,
  end: number,
  instr: number,
  out: ListedAccess[],
): number {
  const { slotInstr, slotKind, slotSize, slotFlags } = blocks;
  let slot = from;
  for (; slot < end && slotInstr[slot] === instr; slot++) {
    if ((slotFlags[slot] & SlotFlag.Split) !== 0 && out.length > 0)
      out[out.length - 1].size += slotSize[slot];
    else out.push({ kind: slotKind[slot], size: slotSize[slot] });
  }
  return slot;
}

function bytesText(code: StaticCode, i: number): string {
  return Array.from(code.bytes(i), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
