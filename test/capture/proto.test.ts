import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CAPTURE_FOLDER } from "../../src/capture/functions.js";
import { findMethod, loadProtos, messageOf, parseProto } from "../../src/capture/proto.js";
import { goPackage, pythonModule } from "../../src/capture/stubs.js";
import { encode } from "../../src/capture/wire.js";

const TEXT = `
syntax = "proto3";
package shop; // a comment with message Fake { }
/* service Gone { } */
service Till {
  rpc Pay(Bill) returns (Receipt) {}
  rpc Close(Nothing) returns (Nothing);
}
message Nothing {}
message Bill {
  string user_id = 1;
  repeated Item items = 2;
  repeated string notes = 3;
  double total = 4;
  float tip = 5;
  bool paid = 6;
  int64 cents = 16;
}
message Item { int32 count = 1; }
message Receipt { string id = 1; }
`;
const proto = parseProto(TEXT, "shop.proto");
const bill = messageOf(proto, "Bill");
const hex = (json: unknown) => encode(proto, bill, json).toString("hex");

describe("a .proto file", () => {
  test("is read into its messages and services", () => {
    expect(proto.package).toBe("shop");
    expect(proto.messages.map((m) => [m.name, m.fields.length])).toEqual([
      ["Nothing", 0],
      ["Bill", 7],
      ["Item", 1],
      ["Receipt", 1],
    ]);
    expect(bill.fields[1]).toEqual({ name: "items", number: 2, type: "Item", repeated: true });
    expect(proto.services).toEqual([
      {
        name: "Till",
        methods: [
          { name: "Pay", request: "Bill", reply: "Receipt" },
          { name: "Close", request: "Nothing", reply: "Nothing" },
        ],
      },
    ]);
  });

  test.each([
    ["without a package", "message A {}", "needs a package"],
    ["with an unknown type", "package a; message A { bytes b = 1; }", "A.b: type bytes is neither"],
    ["with a map", "package a; message A { map<string, int32> m = 1; }", "is no plain field"],
    [
      "with repeated numbers",
      "package a; message A { repeated int32 n = 1; }",
      "only strings may be repeated",
    ],
    ["with a stream", "package a; service S { rpc M(stream A) returns (A); } message A {}", "no plain unary"],
    [
      "with a method of an unknown message",
      "package a; service S { rpc M(A) returns (B); } message A {}",
      "no message B",
    ],
  ])("%s is refused by name", (_, text, message) => {
    expect(() => parseProto(text, "x.proto")).toThrow(message);
  });

  test("gives its methods by the names that gRPC sends", () => {
    const method = findMethod([proto], "shop.Till/Pay");
    expect([method?.path, method?.request.name, method?.reply.name]).toEqual([
      "/shop.Till/Pay",
      "Bill",
      "Receipt",
    ]);
    expect(findMethod([proto], "shop.Till/Steal")).toBeUndefined();
  });
});

describe("a message", () => {
  test("is encoded as protobuf says", () => {
    // Written out by hand after the encoding's description.
    expect(hex({ user_id: "ab" })).toBe("0a026162");
    expect(hex({ items: [{ count: 3 }, {}] })).toBe("12020803" + "1200");
    expect(hex({ notes: ["", "x"] })).toBe("1a00" + "1a0178");
    expect(hex({ total: 1 })).toBe("21000000000000f03f");
    expect(hex({ tip: "0.5" })).toBe("2d0000003f");
    expect(hex({ paid: true })).toBe("3001");
    expect(hex({ cents: 300 })).toBe("8001" + "ac02");
    expect(hex({ cents: -1 })).toBe("8001" + "ffffffffffffffffff01");
  });

  test("has its fields in the order of their numbers and none with its default value", () => {
    expect(hex({ paid: true, user_id: "a", total: 0, tip: "0", cents: 0, notes: [] })).toBe(
      "0a0161" + "3001",
    );
    expect(hex({ paid: false, user_id: "" })).toBe("");
  });

  test.each([
    [{ user_ids: "a" }, 'Bill: no field "user_ids". Did you mean "user_id"?'],
    [{ user_id: 3 }, "Bill.user_id: must be text"],
    [{ items: {} }, "Bill.items: must be a list"],
    [{ items: [{ count: 1.5 }] }, "Bill.items.count: must be a whole number"],
    [{ items: [{ count: 2 ** 31 }] }, "Bill.items.count: must be a whole number of 32 bits"],
    [{ total: "many" }, "Bill.total: must be a number"],
    [{ paid: "yes" }, "Bill.paid: must be true or false"],
    [[], "Bill: must be an object"],
  ])("%j is refused by the field's name", (json, message) => {
    expect(() => encode(proto, bill, json)).toThrow(message);
  });
});

describe("the services in other languages", () => {
  test("have Go structs with the tags that the runtime reads", () => {
    const go = goPackage(proto);
    expect(go).toContain(
      'UserId string `protobuf:"bytes,1,opt,name=user_id,proto3" json:"user_id,omitempty"`',
    );
    expect(go).toContain('Items []*Item `protobuf:"bytes,2,rep,name=items,proto3" json:"items,omitempty"`');
    expect(go).toContain('Total float64 `protobuf:"fixed64,4,opt,name=total,proto3"');
    expect(go).toContain("func Register(server *grpc.Server, impl TillServer)");
    expect(go).toContain("Pay(ctx context.Context, in *Bill) (*Receipt, error)");
  });

  test("are registered by name where there are several", () => {
    const two = parseProto(
      "package p; service OneService { rpc A(M) returns (M); } service TwoService { rpc B(M) returns (M); } message M {}",
      "p.proto",
    );
    expect(goPackage(two)).toContain("func RegisterTwoService(");
    expect(pythonModule(two)).toContain("def register_two_service(");
  });

  test("have a Python table of the fields", () => {
    const python = pythonModule(proto);
    expect(python).toContain('("items", 2, "MESSAGE", "Item", True),');
    expect(python).toContain('("user_id", 1, "STRING", None, False),');
    expect(python).toContain("class TillServicer:");
    expect(python).toContain('"/shop.Till/Pay"');
  });
});

test("all files in capture/proto are understood", () => {
  const protos = loadProtos(join(CAPTURE_FOLDER, "proto"));
  expect(protos.length).toBeGreaterThan(5);
  for (const each of protos) expect(each.services.length).toBeGreaterThan(0);
});
