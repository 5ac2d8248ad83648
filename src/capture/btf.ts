/**
 * Offsets of structure members from a kernel's type information (BTF), as `/sys/kernel/btf/vmlinux`
 * holds it. Only what that takes: structures, their members and, for members of anonymous structures,
 * the nesting.
 */
const BTF_MAGIC = 0xeb9f;

const Kind = {
  Int: 1,
  Array: 3,
  Struct: 4,
  Union: 5,
  Enum: 6,
  FuncProto: 13,
  Var: 14,
  DataSec: 15,
  DeclTag: 17,
  Enum64: 19,
} as const;

interface Composite {
  name: string;
  memberCount: number;
  membersAt: number;
  /** Member offsets hold the bit field's size in their upper 8 bits. */
  bitfields: boolean;
}

/** @returns byte offset of each named member of the structure; throws if the file or a member is not as expected. */
export function structOffsets(
  btf: Uint8Array,
  struct: string,
  members: readonly string[],
): Record<string, number> {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  if (btf.byteLength < 24 || view.getUint16(0, true) !== BTF_MAGIC) throw new Error("not a BTF file");
  const header = view.getUint32(4, true);
  const typesAt = header + view.getUint32(8, true);
  const typesEnd = typesAt + view.getUint32(12, true);
  const stringsAt = header + view.getUint32(16, true);
  const text = (at: number): string => {
    const from = stringsAt + at;
    return Buffer.from(btf.subarray(from, btf.indexOf(0, from))).toString("latin1");
  };

  const composites = new Map<number, Composite>();
  let wanted: Composite | undefined;
  let id = 1;
  for (let at = typesAt; at < typesEnd; id++) {
    const info = view.getUint32(at + 4, true);
    const count = info & 0xffff;
    const kind = (info >>> 24) & 31;
    if (kind === Kind.Struct || kind === Kind.Union) {
      const composite = {
        name: text(view.getUint32(at, true)),
        memberCount: count,
        membersAt: at + 12,
        bitfields: info >>> 31 === 1,
      };
      composites.set(id, composite);
      if (kind === Kind.Struct && composite.name === struct && count > 0) wanted ??= composite;
    }
    at += 12 + extraBytes(kind, count);
  }
  if (wanted === undefined) throw new Error(`no struct ${struct} in the kernel's type information`);

  const found: Record<string, number> = {};
  const visit = (composite: Composite, base: number): void => {
    for (let i = 0; i < composite.memberCount; i++) {
      const at = composite.membersAt + i * 12;
      const name = text(view.getUint32(at, true));
      const raw = view.getUint32(at + 8, true);
      const bits = base + (composite.bitfields ? raw & 0xffffff : raw);
      if (name === "") {
        const inner = composites.get(view.getUint32(at + 4, true));
        if (inner !== undefined) visit(inner, bits);
      } else if (members.includes(name)) {
        found[name] ??= bits / 8;
      }
    }
  };
  visit(wanted, 0);
  for (const name of members) {
    if (found[name] === undefined)
      throw new Error(`no member ${name} in struct ${struct} of the kernel's type information`);
  }
  return found;
}

function extraBytes(kind: number, count: number): number {
  switch (kind) {
    case Kind.Int:
    case Kind.Var:
    case Kind.DeclTag:
      return 4;
    case Kind.Array:
      return 12;
    case Kind.Struct:
    case Kind.Union:
    case Kind.DataSec:
    case Kind.Enum64:
      return count * 12;
    case Kind.Enum:
    case Kind.FuncProto:
      return count * 8;
    default:
      return 0;
  }
}
